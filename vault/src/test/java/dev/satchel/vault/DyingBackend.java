package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** A place that is taken away after so many changes. */
final class DyingBackend extends ForwardingBackend {
    /** It has been taken away. */
    static final class Died extends IOException {
        private static final long serialVersionUID = 1;

        Died() {
            super("the device is gone");
        }
    }

    private final Supplier<? extends IOException> trouble;
    private int left;

    DyingBackend(Backend real, int writes) {
        this(real, writes, Died::new);
    }

    /** @param trouble what each change fails with after so many */
    DyingBackend(Backend real, int writes, Supplier<? extends IOException> trouble) {
        super(real);
        this.left = writes;
        this.trouble = trouble;
    }

    private synchronized void change() throws IOException {
        if (left-- <= 0) {
            left = 0;
            throw trouble.get();
        }
    }

    @Override
    public boolean putIfAbsent(String name, MemorySegment... parts) throws IOException {
        change();
        return super.putIfAbsent(name, parts);
    }

    @Override
    public PackFile begin() throws IOException {
        change();
        return super.begin();
    }

    @Override
    public void commit(Map<String, PackFile> files) throws IOException {
        change();
        super.commit(files);
    }

    @Override
    public void delete(String name) throws IOException {
        change();
        super.delete(name);
    }

    @Override
    public boolean replace(String name, Optional<byte[]> expected, byte[] next) throws IOException {
        change();
        return super.replace(name, expected, next);
    }
}
