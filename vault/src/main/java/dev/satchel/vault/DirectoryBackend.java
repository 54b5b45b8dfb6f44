package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A vault in a directory: an object is a file of its name. */
public final class DirectoryBackend implements Backend {
    private final Path root;

    /** Uses {@code root}; the directory is made when the first object is stored. Touches nothing yet. */
    public DirectoryBackend(Path root) {
        this.root = root.toAbsolutePath();
    }

    @Override
    public String location() {
        return root.toString();
    }

    @Override
    public boolean putIfAbsent(String name, MemorySegment... parts) throws IOException {
        return Unfinished.here();
    }

    @Override
    public PackFile begin() throws IOException {
        return Unfinished.here();
    }

    @Override
    public int getRange(String name, long offset, MemorySegment target) throws IOException {
        return Unfinished.here();
    }

    @Override
    public void willNeed(String name, long offset, long lengthBytes) {}

    @Override
    public Optional<byte[]> get(String name, int sizeMax) throws IOException {
        return Unfinished.here();
    }

    @Override
    public Optional<Long> size(String name) throws IOException {
        return Unfinished.here();
    }

    @Override
    public List<String> list(String prefix) throws IOException {
        return Unfinished.here();
    }

    @Override
    public void delete(String name) throws IOException {
        Unfinished.here();
    }

    @Override
    public boolean replace(String name, Optional<byte[]> expected, byte[] next) throws IOException {
        return Unfinished.here();
    }

    @Override
    public AppendLog openLog(String name, boolean create) throws IOException {
        return Unfinished.here();
    }

    @Override
    public long removeAbandoned() throws IOException {
        return Unfinished.here();
    }

    @Override
    public void close() throws IOException {}
}
