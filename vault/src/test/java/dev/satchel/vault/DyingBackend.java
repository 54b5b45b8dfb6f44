package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A place that is taken away after so many changes. */
final class DyingBackend implements Backend {
    /** It has been taken away. */
    static final class Died extends IOException {
        private static final long serialVersionUID = 1;

        Died() {
            super("the device is gone");
        }
    }

    private final Backend real;
    private int left;

    DyingBackend(Backend real, int writes) {
        this.real = real;
        this.left = writes;
    }

    private void change() throws Died {
        if (left-- <= 0) {
            left = 0;
            throw new Died();
        }
    }

    @Override
    public String location() {
        return real.location();
    }

    @Override
    public boolean putIfAbsent(String name, MemorySegment... parts) throws IOException {
        change();
        return real.putIfAbsent(name, parts);
    }

    @Override
    public PackFile begin() throws IOException {
        change();
        return real.begin();
    }

    @Override
    public void commit(Map<String, PackFile> files) throws IOException {
        change();
        real.commit(files);
    }

    @Override
    public int getRange(String name, long offset, MemorySegment target) throws IOException {
        return real.getRange(name, offset, target);
    }

    @Override
    public void willNeed(String name, long offset, long lengthBytes) {
        real.willNeed(name, offset, lengthBytes);
    }

    @Override
    public Optional<byte[]> get(String name, int sizeMax) throws IOException {
        return real.get(name, sizeMax);
    }

    @Override
    public Optional<Long> size(String name) throws IOException {
        return real.size(name);
    }

    @Override
    public List<String> list(String prefix) throws IOException {
        return real.list(prefix);
    }

    @Override
    public void delete(String name) throws IOException {
        change();
        real.delete(name);
    }

    @Override
    public boolean replace(String name, Optional<byte[]> expected, byte[] next) throws IOException {
        change();
        return real.replace(name, expected, next);
    }

    @Override
    public AppendLog openLog(String name, boolean create) throws IOException {
        return real.openLog(name, create);
    }

    @Override
    public long removeAbandoned() throws IOException {
        return real.removeAbandoned();
    }

    @Override
    public void close() throws IOException {
        real.close();
    }
}
