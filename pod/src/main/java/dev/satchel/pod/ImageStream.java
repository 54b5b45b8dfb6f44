package dev.satchel.pod;

import dev.satchel.linux.Fd;
import dev.satchel.linux.Poll;
import dev.satchel.linux.Uninterruptible;
import dev.satchel.linux.UnixSocket;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Takes the images of a dump from CRIU as they come, through pipes: the server of criu(8)'s {@code --stream}. Its protocol is in
 * CRIU's criu/img-streamer.c and images/img-streamer.proto: over a socket in the images' directory CRIU sends, for each image, a
 * message with its name, and the end of a pipe through which it then comes.
 *
 * <p>Images go to files, but for pages, which stay in pipes: see {@link CapturedPages}. If anything fails, all pipes are closed, of
 * which CRIU dies, and the processes go on.
 */
final class ImageStream implements AutoCloseable {
    /** What hears of complete images; called on the stream's thread, which CRIU waits for. */
    interface Listener {
        void pagemap(Path file);

        void pages(CapturedPages pages);
    }

    private static final String SOCKET = "streamer-capture.sock";
    private static final String PAGES = "pages-";
    private static final String PAGEMAP = "pagemap-";
    private static final int REQUEST_BYTES_MAX = 4096;
    private static final int COPY_BYTES = 64 << 10;

    /** Field 1 of {@code img_streamer_request_entry}, a string. */
    private static final int NAME_TAG = 1 << 3 | 2;

    private final Path directory;
    private final PageStore store;
    private final Listener listener;
    private final Fd directoryFd;
    private final UnixSocket server;
    private final Fd.Pipe wake;
    private final Thread thread;

    // Guarded by this.
    private boolean completing;
    private boolean drained;
    private boolean closed;
    private @Nullable Throwable failure;

    /** What a descriptor that is waited for is there for. */
    private sealed interface Source {}

    private enum Signal implements Source {
        CONNECT,
        REQUEST,
        WAKE
    }

    /** An image on its way. */
    private abstract static sealed class Image implements Source {
        private final Fd pipe;

        Image(Fd pipe) {
            this.pipe = pipe;
        }

        /** Takes some of it. @return whether that was the end */
        abstract boolean take() throws IOException;

        abstract void abandon() throws IOException;
    }

    private final class FileImage extends Image {
        private final Path path;
        private final Fd file;

        FileImage(Fd pipe, Path path) throws IOException {
            super(pipe);
            this.path = path;
            this.file = Fd.open(path, Fd.O_WRONLY | Fd.O_CREAT | Fd.O_EXCL, 0644);
        }

        @Override
        boolean take() throws IOException {
            long count = super.pipe.read(buffer);
            if (count > 0) {
                MemorySegment rest = buffer.asSlice(0, count);
                while (rest.byteSize() > 0) {
                    rest = rest.asSlice(file.write(rest));
                }
                return false;
            }
            file.close();
            if (String.valueOf(path.getFileName()).startsWith(PAGEMAP)) {
                listener.pagemap(path);
            }
            return true;
        }

        @Override
        void abandon() throws IOException {
            file.close();
        }
    }

    private final class PagesImage extends Image {
        private final PageStore.Incoming incoming;

        PagesImage(Fd pipe, String name) throws IOException {
            super(pipe);
            this.incoming = store.incoming(pipe, name);
        }

        @Override
        boolean take() throws IOException {
            boolean end = incoming.take();
            if (end) {
                listener.pages(incoming.pages());
            }
            return end;
        }

        @Override
        void abandon() throws IOException {
            incoming.abandon();
        }
    }

    /** Of the stream's thread. */
    private final MemorySegment buffer = Arena.ofAuto().allocate(COPY_BYTES, 8);

    private final Poll<Source> poll = new Poll<>();
    private int images;

    /** Waits in {@code directory} for CRIU. Neither that nor the store become the stream's. */
    ImageStream(Path directory, PageStore store, Listener listener) throws IOException {
        this.directory = directory;
        this.store = store;
        this.listener = listener;
        this.directoryFd = Fd.open(directory, Fd.O_RDONLY | Fd.O_DIRECTORY);
        try {
            this.server = UnixSocket.listen(directoryFd.path().resolve(SOCKET));
            this.wake = Fd.pipe();
        } catch (IOException | RuntimeException e) {
            directoryFd.close();
            throw e;
        }
        this.thread = Thread.ofPlatform().name("checkpoint-images").daemon().start(this::run);
    }

    /** The directory by a name that is short enough for a socket's address wherever it is: sun_path has 108 bytes, unix(7). */
    Path shortPath() {
        return Path.of(
                "/proc", Long.toString(ProcessHandle.current().pid()), "fd", Integer.toString(directoryFd.number()));
    }

    private void run() {
        @Nullable UnixSocket connection = null;
        try {
            poll.add(wake.reader(), Signal.WAKE);
            poll.add(server.fd(), Signal.CONNECT);
            while (!ended()) {
                poll.await();
                boolean requested = false;
                // From the end: what is removed is replaced by the last, which was seen already; what is new is not
                // ready.
                for (int i = poll.size() - 1; i >= 0; i--) {
                    if (!poll.ready(i)) {
                        continue;
                    }
                    switch (poll.member(i)) {
                        case Signal.WAKE -> wake.reader().read(buffer.asSlice(0, 1));
                        case Signal.CONNECT -> {
                            connection = server.accept();
                            poll.remove(i);
                            poll.add(connection.fd(), Signal.REQUEST);
                        }
                        case Signal.REQUEST -> {
                            requested = true;
                            if (connection != null && !request(connection)) {
                                poll.remove(i);
                            }
                        }
                        case Image image -> {
                            if (image.take()) {
                                poll.remove(i);
                                images--;
                                image.pipe.close();
                            }
                        }
                    }
                }
                noteDrained(requested);
            }
        } catch (IOException | RuntimeException | Error e) {
            synchronized (this) {
                failure = e;
                notifyAll();
            }
        } finally {
            abandon(connection);
        }
    }

    private synchronized boolean ended() {
        return drained || closed;
    }

    /** Whatever CRIU had sent before {@link #complete} was called has been seen by now. */
    private synchronized void noteDrained(boolean requested) {
        if (completing && images == 0 && !requested) {
            drained = true;
            notifyAll();
        }
    }

    /** @return false when CRIU has no more */
    private boolean request(UnixSocket connection) throws IOException {
        MemorySegment length = buffer.asSlice(0, 4);
        if (!connection.receive(length)) {
            return false;
        }
        int bytes = length.get(ValueLayout.JAVA_INT, 0);
        if (bytes < 3 || bytes > REQUEST_BYTES_MAX) {
            throw unexpected(bytes + " bytes");
        }
        MemorySegment message = buffer.asSlice(0, bytes);
        if (!connection.receive(message)) {
            throw unexpected("its end");
        }
        // An image's name is shorter than 128 bytes, so that its length is one byte of a varint.
        if (message.get(ValueLayout.JAVA_BYTE, 0) != NAME_TAG || message.get(ValueLayout.JAVA_BYTE, 1) != bytes - 2) {
            throw unexpected("a message that has no name alone");
        }
        String name = new String(message.asSlice(2).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
        if (name.indexOf('/') >= 0 || !name.endsWith(".img")) {
            throw unexpected("an image named " + name);
        }
        Fd pipe = connection.receiveDescriptor(name);
        try {
            Image image =
                    name.startsWith(PAGES) ? new PagesImage(pipe, name) : new FileImage(pipe, directory.resolve(name));
            poll.add(pipe, image);
            images++;
        } catch (IOException | RuntimeException e) {
            pipe.close();
            throw e;
        }
        return true;
    }

    private static IOException unexpected(String what) {
        return new IOException("CRIU's stream of images is not as it should be: " + what);
    }

    private void abandon(@Nullable UnixSocket connection) {
        try {
            for (int i = 0; i < poll.size(); i++) {
                if (poll.member(i) instanceof Image image) {
                    image.pipe.close();
                    image.abandon();
                }
            }
            if (connection != null) {
                connection.close();
            }
            server.close();
        } catch (IOException e) {
            synchronized (this) {
                if (failure == null) {
                    failure = e;
                }
            }
        }
    }

    /** What made it end too early, if anything did. */
    synchronized @Nullable Throwable failure() {
        return failure;
    }

    /** CRIU has written everything: waits until it is all here. */
    void complete() throws IOException {
        wake(() -> completing = true);
        synchronized (this) {
            try {
                while (!drained && failure == null) {
                    wait();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new InterruptedIOException("interrupted while a checkpoint was being taken");
            }
            if (failure != null) {
                throw new IOException("the checkpoint's images were lost: " + failure.getMessage(), failure);
            }
        }
    }

    private void wake(Runnable change) throws IOException {
        synchronized (this) {
            change.run();
        }
        try (Arena arena = Arena.ofConfined()) {
            wake.writer().write(arena.allocate(1));
        }
    }

    /** Gives up what has not come whole. */
    @Override
    public void close() throws IOException {
        wake(() -> closed = true);
        Uninterruptible.join(thread);
        try (directoryFd) {
            wake.close();
            Files.deleteIfExists(directory.resolve(SOCKET));
        }
    }
}
