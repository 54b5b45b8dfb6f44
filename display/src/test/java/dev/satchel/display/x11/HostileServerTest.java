package dev.satchel.display.x11;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.EOFException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Servers that are none: whatever they send, who asks is told in time that it failed, and nothing grows. */
@Timeout(60)
class HostileServerTest implements X11Connection.Handler {
    @TempDir
    Path directory;

    private final BlockingQueue<IOException> ended = new LinkedBlockingQueue<>();
    private ServerSocketChannel listening;

    /** What a server does with a client that has said hello. */
    private interface Script {
        void play(SocketChannel client) throws IOException;
    }

    @BeforeEach
    void listen() throws IOException {
        listening = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listening.bind(address());
    }

    @AfterEach
    void stop() throws IOException {
        listening.close();
    }

    private UnixDomainSocketAddress address() {
        return UnixDomainSocketAddress.of(directory.resolve("X"));
    }

    private void serve(Script script) {
        Thread.ofPlatform().daemon().start(() -> {
            try (SocketChannel client = listening.accept()) {
                script.play(client);
            } catch (IOException e) {
                return; // the client has had enough
            }
        });
    }

    @Override
    public void event(ByteBuffer event) {}

    @Override
    public void ended(IOException reason) {
        ended.add(reason);
    }

    /** A setup as it should be, with room for one screen. */
    private static ByteBuffer setup() {
        ByteBuffer setup = ByteBuffer.allocate(8 + 32 + 8 + 40).order(ByteOrder.LITTLE_ENDIAN);
        setup.put(0, (byte) 1).putShort(2, (short) 11).putShort(6, (short) ((setup.capacity() - 8) / 4));
        setup.putInt(8 + 4, 0x200000).putInt(8 + 8, 0x1fffff);
        setup.put(8 + 20, (byte) 1).put(8 + 21, (byte) 1).put(8 + 26, (byte) 8).put(8 + 27, (byte) 255);
        setup.putInt(8 + 40, 0x111);
        return setup;
    }

    private static void write(SocketChannel client, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            client.write(bytes);
        }
    }

    private static void read(SocketChannel client, int count) throws IOException {
        ByteBuffer read = ByteBuffer.allocate(count);
        while (read.hasRemaining()) {
            if (client.read(read) < 0) {
                throw new EOFException();
            }
        }
    }

    private static ByteBuffer message(int type, int number, int units) {
        return ByteBuffer.allocate(32)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put(0, (byte) type)
                .putShort(2, (short) number)
                .putInt(4, units);
    }

    /** Sends what is wrong in answer to the first question, and keeps the connection. */
    private void answersWith(ByteBuffer... answers) throws Exception {
        serve(client -> {
            read(client, 12);
            write(client, setup());
            read(client, 4);
            for (ByteBuffer answer : answers) {
                write(client, answer);
            }
            read(client, 1 << 20);
        });
        try (X11Connection connection = new X11Connection(address())) {
            connection.start(this);
            long began = System.nanoTime();
            assertThatThrownBy(() -> connection.ask(new Request(43, 0))).isInstanceOf(IOException.class);
            assertThat(System.nanoTime() - began).isLessThan(TimeUnit.SECONDS.toNanos(4));
            assertThat(ended.poll(10, TimeUnit.SECONDS)).isNotNull();
            assertThatThrownBy(() -> connection.send(new Request(43, 0))).isInstanceOf(IOException.class);
        }
        assertThat(ended).isEmpty();
    }

    @Test
    void anHonestServerIsUnderstood() throws Exception {
        ByteBuffer answer = message(1, 1, 2);
        serve(client -> {
            read(client, 12);
            write(client, setup());
            read(client, 4);
            write(client, answer);
            write(client, ByteBuffer.allocate(8).put(7, (byte) 42));
            read(client, 1);
        });
        try (X11Connection connection = new X11Connection(address())) {
            connection.start(this);
            assertThat(connection.rootWindow()).isEqualTo(0x111);
            // Four of eight bytes are kept.
            assertThat(connection.ask(4, new Request(43, 0)).capacity()).isEqualTo(36);
        }
        assertThat(ended).isEmpty();
    }

    @Test
    void endlessReplies() throws Exception {
        answersWith(message(1, 1, -1));
    }

    @Test
    void repliesToWhatWasNotSent() throws Exception {
        answersWith(message(1, 2, 0));
    }

    @Test
    void eventsAfterWhatWasNotSent() throws Exception {
        answersWith(message(22, 77, 0));
    }

    @Test
    void repliesTwice() throws Exception {
        serve(client -> {
            read(client, 12);
            write(client, setup());
            read(client, 4);
            write(client, message(1, 1, 0));
            write(client, message(1, 1, 0));
            read(client, 1 << 20);
        });
        try (X11Connection connection = new X11Connection(address())) {
            connection.start(this);
            assertThat(connection.ask(new Request(43, 0)).capacity()).isEqualTo(32);
            assertThat(ended.poll(10, TimeUnit.SECONDS)).isNotNull();
        }
    }

    @Test
    void repliesLeftOut() throws Exception {
        serve(client -> {
            read(client, 12);
            write(client, setup());
            read(client, 8);
            write(client, message(1, 2, 0));
            read(client, 1 << 20);
        });
        try (X11Connection connection = new X11Connection(address())) {
            connection.start(this);
            connection.askLater(new Request(43, 0), 0, reply -> ended.add(new IOException("answered")));
            assertThatThrownBy(() -> connection.ask(new Request(43, 0))).isInstanceOf(IOException.class);
            assertThat(ended.poll(10, TimeUnit.SECONDS)).hasMessageContaining("left out");
        }
    }

    /** Random bytes, from the hello or from the first question on. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void noise(boolean fromTheBeginning) throws Exception {
        for (int seed = 0; seed < 200; seed++) {
            Random random = new Random(seed);
            serve(client -> {
                read(client, 12);
                if (!fromTheBeginning) {
                    write(client, setup());
                    read(client, 4);
                }
                byte[] bytes = new byte[1 << 16];
                random.nextBytes(bytes);
                if (fromTheBeginning) {
                    bytes[0] = (byte) random.nextInt(2);
                    bytes[7] = 0;
                }
                write(client, ByteBuffer.wrap(bytes));
            });
            int expected = seed;
            assertThatThrownBy(() -> {
                        try (X11Connection connection = new X11Connection(address())) {
                            for (int i = 0; i < 3; i++) {
                                ByteBuffer ignored = connection.ask(new Request(43, 0));
                            }
                        }
                    })
                    .as("seed %d", expected)
                    .isInstanceOf(IOException.class);
        }
    }

    @Test
    void keyboardMapsOfNoise() {
        Random random = new Random(1);
        for (int i = 0; i < 20_000; i++) {
            byte[] bytes = new byte[40 + random.nextInt(2000)];
            random.nextBytes(bytes);
            try {
                Keymap keymap = new Keymap(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
                for (int keycode = 0; keycode < 256; keycode++) {
                    int ignored = keymap.meaning(keycode, random.nextInt(256), random.nextInt(256));
                }
                int ignored = keymap.find('a', 0, 0) + keymap.findModifier(0xffe1);
            } catch (IOException e) {
                assertThat(e).hasMessageContaining("makes no sense");
            }
        }
    }

    /** Neither reads nor answers: who writes is not held up for ever, and closing takes no time. */
    @Test
    void takesNothing() throws Exception {
        serve(client -> {
            read(client, 12);
            write(client, setup());
            try {
                TimeUnit.SECONDS.sleep(60);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        try (X11Connection connection = new X11Connection(address())) {
            connection.start(this);
            Request large = new Request(25, 0).bytes(new byte[200_000], 0, 200_000);
            long began = System.nanoTime();
            assertThatThrownBy(() -> {
                        for (int i = 0; i < 1000; i++) {
                            connection.send(large);
                        }
                    })
                    .isInstanceOf(IOException.class);
            assertThat(System.nanoTime() - began).isLessThan(TimeUnit.SECONDS.toNanos(15));
        }
    }

    @Test
    void closingWakesWhoWaits() throws Exception {
        serve(client -> {
            read(client, 12);
            write(client, setup());
            read(client, 1 << 20);
        });
        X11Connection connection = new X11Connection(address());
        connection.start(this);
        Thread closing = Thread.ofPlatform().start(() -> {
            try {
                TimeUnit.MILLISECONDS.sleep(100);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            connection.close();
        });
        long began = System.nanoTime();
        assertThatThrownBy(() -> connection.ask(new Request(43, 0))).hasMessageContaining("closed");
        assertThat(System.nanoTime() - began).isLessThan(TimeUnit.SECONDS.toNanos(3));
        closing.join();
        assertThat(ended).isEmpty();
    }

    @Test
    void refusalsAreTold() {
        serve(client -> {
            read(client, 12);
            ByteBuffer refusal = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
            refusal.put(1, (byte) 4).putShort(6, (short) 2).put(8, new byte[] {'n', 'o', 7, '!'});
            write(client, refusal);
        });
        assertThatThrownBy(() -> {
                    X11Connection connection = new X11Connection(address());
                    connection.close();
                })
                .hasMessage("the X server refuses: no?!");
    }
}
