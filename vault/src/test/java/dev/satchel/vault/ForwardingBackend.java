package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Hands everything on; tests override where something is to happen in between. */
class ForwardingBackend implements Backend {
    private final Backend next;

    ForwardingBackend(Backend next) {
        this.next = next;
    }

    @Override
    public String location() {
        return next.location();
    }

    @Override
    public boolean putIfAbsent(String name, MemorySegment... parts) throws IOException {
        return next.putIfAbsent(name, parts);
    }

    @Override
    public PackFile begin() throws IOException {
        return next.begin();
    }

    @Override
    public void commit(Map<String, PackFile> files) throws IOException {
        next.commit(files);
    }

    @Override
    public int getRange(String name, long offset, MemorySegment target) throws IOException {
        return next.getRange(name, offset, target);
    }

    @Override
    public void willNeed(String name, long offset, long lengthBytes) {
        next.willNeed(name, offset, lengthBytes);
    }

    @Override
    public void forget(String name) throws IOException {
        next.forget(name);
    }

    @Override
    public Optional<byte[]> get(String name, int sizeMax) throws IOException {
        return next.get(name, sizeMax);
    }

    @Override
    public void settleAll(String directory) throws IOException {
        next.settleAll(directory);
    }

    @Override
    public void settle(String name) throws IOException {
        next.settle(name);
    }

    @Override
    public Optional<Long> size(String name) throws IOException {
        return next.size(name);
    }

    @Override
    public List<String> list(String prefix) throws IOException {
        return next.list(prefix);
    }

    @Override
    public void delete(String name) throws IOException {
        next.delete(name);
    }

    @Override
    public boolean replace(String name, Optional<byte[]> expected, byte[] nextBytes) throws IOException {
        return next.replace(name, expected, nextBytes);
    }

    @Override
    public AppendLog openLog(String name, boolean create) throws IOException {
        return next.openLog(name, create);
    }

    @Override
    public AppendLog readLog(String name) throws IOException {
        return next.readLog(name);
    }

    @Override
    public long removeAbandoned() throws IOException {
        return next.removeAbandoned();
    }

    @Override
    public void close() throws IOException {
        next.close();
    }
}
