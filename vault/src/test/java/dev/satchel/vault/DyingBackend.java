package dev.satchel.vault;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Optional;

/** A place that is taken away after so many changes. */
final class DyingBackend extends ForwardingBackend {
    /** It has been taken away. */
    static final class Died extends IOException {
        private static final long serialVersionUID = 1;

        Died() {
            super("the device is gone");
        }
    }

    private int left;

    DyingBackend(Backend real, int writes) {
        super(real);
        this.left = writes;
    }

    private void change() throws Died {
        if (left-- <= 0) {
            left = 0;
            throw new Died();
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
