package dev.satchel.display.web;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A network between a browser and a server, which a test can break. */
final class Relay implements AutoCloseable {
    private final int target;
    private final ServerSocket listener;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private volatile boolean broken;

    Relay(int target) throws IOException {
        this.target = target;
        this.listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread.ofVirtual().start(this::accept);
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

    void mend() {
        broken = false;
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
                Socket far = new Socket(InetAddress.getLoopbackAddress(), target);
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
        try (from;
                to;
                InputStream in = from.getInputStream();
                OutputStream out = to.getOutputStream()) {
            byte[] buffer = new byte[16 << 10];
            int count;
            while ((count = in.read(buffer)) >= 0) {
                out.write(buffer, 0, count);
            }
        } catch (IOException e) {
            // One side has closed it.
        } finally {
            sockets.remove(from);
            sockets.remove(to);
        }
    }

    @Override
    public void close() throws IOException {
        listener.close();
        cut();
    }
}
