package dev.satchel.display.web;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A network between a browser and a server, which a test can break. */
final class Relay implements AutoCloseable {
    private static final int PACKETS_BYTES = 16 << 10;

    private final int target;
    private final ServerSocket listener;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private volatile boolean broken;
    private volatile boolean stalled;
    private volatile boolean oneSided;
    private volatile long bytesPerSecond = Long.MAX_VALUE;
    private long free;

    Relay(int target) throws IOException {
        this.target = target;
        this.listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread.ofVirtual().start(this::accept);
    }

    /** Where browsers come to. */
    int port() {
        return listener.getLocalPort();
    }

    /** The server's link, through this. */
    String link(String link) {
        return link.replace(":" + target + "/", ":" + listener.getLocalPort() + "/");
    }

    /** Ends all connections, and new ones as they come, until {@link #mend}. */
    void cut() {
        broken = true;
        for (Socket socket : sockets) {
            ViewerServer.closeQuietly(socket);
        }
    }

    /** Ends all connections, of which the server does not hear; new ones are as any. */
    void lose() {
        oneSided = true;
        for (Socket socket : sockets) {
            if (socket.getLocalPort() == port()) {
                ViewerServer.closeQuietly(socket);
            }
        }
    }

    /** Passes nothing on any more, and ends nothing, until {@link #mend}. */
    void stall() {
        stalled = true;
    }

    synchronized void mend() {
        broken = false;
        stalled = false;
        notifyAll();
    }

    /** What all connections together bring to browsers, from now on. What waits, waits at the server but for some packets. */
    void limit(long newBytesPerSecond) {
        bytesPerSecond = newBytesPerSecond;
    }

    private void await(int count) throws InterruptedException {
        long until;
        synchronized (this) {
            while (stalled && !broken) {
                wait();
            }
            long now = System.nanoTime();
            free = Math.max(now, free) + count * 1_000_000_000L / bytesPerSecond;
            until = free;
        }
        Thread.sleep(java.time.Duration.ofNanos(Math.max(0, until - System.nanoTime())));
    }

    private void accept() {
        while (true) {
            try {
                Socket near = listener.accept();
                if (broken) {
                    near.close();
                    continue;
                }
                near.setTcpNoDelay(true);
                near.setSendBufferSize(PACKETS_BYTES);
                Socket far = new Socket();
                far.setReceiveBufferSize(PACKETS_BYTES);
                far.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), target));
                far.setTcpNoDelay(true);
                sockets.add(near);
                sockets.add(far);
                Thread.ofVirtual().start(() -> copy(near, far));
                Thread.ofVirtual().start(() -> copy(far, near));
            } catch (IOException e) {
                return;
            }
        }
    }

    private void copy(Socket from, Socket to) {
        try {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            byte[] buffer = new byte[4 << 10];
            int count;
            while ((count = in.read(buffer)) >= 0) {
                await(from.getPort() == target ? count : 0);
                out.write(buffer, 0, count);
            }
        } catch (IOException e) {
            // One side has closed it.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            if (!oneSided) {
                for (Socket socket : new Socket[] {from, to}) {
                    ViewerServer.closeQuietly(socket);
                    sockets.remove(socket);
                }
            }
        }
    }

    @Override
    public void close() throws IOException {
        listener.close();
        cut();
        mend();
    }
}
