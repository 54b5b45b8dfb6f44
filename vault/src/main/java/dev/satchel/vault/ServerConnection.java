package dev.satchel.vault;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.util.HexFormat;
import java.util.Locale;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;
import org.jspecify.annotations.Nullable;

/**
 * A connection to a server of chunks: requests one after the other, HTTP/1.1 (RFC 9112) as far as such servers speak it. Every wait ends by a
 * deadline, and no length is believed beyond what is wanted. One thread at a time. The JDK's own client loads a
 * thousand classes and starts threads before its first request.
 */
final class ServerConnection implements Closeable {
    private static final int HEAD_BYTES_MAX = 16 << 10;
    private static final int BUFFER_BYTES = 64 << 10;
    private static final int CONNECT_MILLIS_MAX = 2_000;

    private final ServerLink link;
    private final Socket socket;
    private final InputStream in;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private int at;
    private int end;
    private long deadlineNanos;
    private long left;
    private boolean keepAlive = true;

    private ServerConnection(ServerLink link, Socket socket, long deadlineNanos) throws IOException {
        this.link = link;
        this.socket = socket;
        this.in = socket.getInputStream();
        this.deadlineNanos = deadlineNanos;
    }

    /**
     * Connects.
     *
     * @param deadlineNanos of {@link System#nanoTime}, for all until {@link #send}
     */
    static ServerConnection open(ServerLink link, long deadlineNanos) throws IOException {
        Socket raw = new Socket();
        try {
            raw.connect(
                    new InetSocketAddress(link.host(), link.port()),
                    Math.min(millisTo(deadlineNanos), CONNECT_MILLIS_MAX));
            raw.setTcpNoDelay(true);
            raw.setSoTimeout(millisTo(deadlineNanos));
            return new ServerConnection(link, link.tls() ? Tls.over(raw, link) : raw, deadlineNanos);
        } catch (IOException | RuntimeException e) {
            raw.close();
            throw e;
        }
    }

    /** Milliseconds, 1 at least. */
    private static int millisTo(long deadlineNanos) throws SocketTimeoutException {
        long millis = (deadlineNanos - System.nanoTime()) / 1_000_000;
        if (millis <= 0) {
            throw new SocketTimeoutException("no answer in time");
        }
        return (int) Math.min(millis, Integer.MAX_VALUE);
    }

    /**
     * Sends a request.
     *
     * @param path of letters, digits and slashes
     * @param deadlineNanos by when all of the answer must have been read
     */
    void send(String method, String path, byte[] body, long deadlineNanos) throws IOException {
        this.deadlineNanos = deadlineNanos;
        StringBuilder head = new StringBuilder(256)
                .append(method)
                .append(' ')
                .append(path)
                .append(" HTTP/1.1\r\nHost: ")
                .append(link.authority())
                .append("\r\nAuthorization: Bearer ")
                .append(link.secret())
                .append("\r\n");
        if (body.length > 0) {
            head.append("Content-Type: application/octet-stream\r\nContent-Length: ")
                    .append(body.length)
                    .append("\r\n");
        }
        byte[] start = head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1);
        byte[] all = new byte[start.length + body.length];
        System.arraycopy(start, 0, all, 0, start.length);
        System.arraycopy(body, 0, all, start.length, body.length);
        // Some ten kilobytes at most: they fit into the socket's buffer.
        socket.getOutputStream().write(all);
    }

    /** Whether an answer has begun to come; waits for that. @return false if the server has closed the connection */
    boolean awaitAnswer() throws IOException {
        return at < end || fill();
    }

    /**
     * Reads the head of the answer.
     *
     * @param bytesMax of the body: a longer one is an error
     * @return its status
     */
    int readHead(long bytesMax) throws IOException {
        StringBuilder text = new StringBuilder(512);
        int lineEnds = 0;
        while (lineEnds < 2) {
            if (text.length() == HEAD_BYTES_MAX) {
                throw new IOException("an answer with a head of more than " + HEAD_BYTES_MAX + " bytes");
            }
            if (at == end && !fill()) {
                throw new EOFException("it ended in the head of an answer");
            }
            char c = (char) (buffer[at++] & 0xff);
            text.append(c);
            lineEnds = c == '\n' ? lineEnds + 1 : c == '\r' ? lineEnds : 0;
        }
        String[] lines = text.toString().split("\r?\n", -1);
        if (!lines[0].startsWith("HTTP/1.") || lines[0].length() < 12) {
            throw new IOException("its answer is not HTTP");
        }
        int status = number(lines[0].substring(9, 12), 999);
        left = -1;
        keepAlive = lines[0].startsWith("HTTP/1.1");
        for (int i = 1; i < lines.length; i++) {
            int colon = lines[i].indexOf(':');
            String name = colon < 0 ? "" : lines[i].substring(0, colon).toLowerCase(Locale.ROOT);
            String value = lines[i].substring(colon + 1).strip();
            if (name.equals("content-length")) {
                left = number(value, Integer.MAX_VALUE);
            } else if (name.equals("transfer-encoding")) {
                throw new IOException("an answer of unknown length");
            } else if (name.equals("connection")
                    && value.toLowerCase(Locale.ROOT).contains("close")) {
                keepAlive = false;
            }
        }
        if (left < 0) {
            throw new IOException("an answer of unknown length");
        }
        if (status == 200 && left > bytesMax) {
            throw new IOException(
                    "an answer of " + left + " bytes where " + bytesMax + " are the most that makes sense");
        }
        return status;
    }

    private static int number(String text, int max) throws IOException {
        long value = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < '0' || c > '9' || value > max) {
                throw new IOException("its answer is not HTTP");
            }
            value = value * 10 + c - '0';
        }
        if (text.isEmpty() || value > max) {
            throw new IOException("its answer is not HTTP");
        }
        return (int) value;
    }

    /** How much of the answer's body has not been read. */
    long left() {
        return left;
    }

    /** Fills {@code target} from the body. */
    void read(MemorySegment target) throws IOException {
        long size = target.byteSize();
        if (size > left) {
            throw new EOFException("an answer is shorter than what is in it");
        }
        for (long done = 0; done < size; ) {
            if (at == end && !fill()) {
                throw new EOFException("it closed the connection within an answer");
            }
            int count = (int) Math.min(size - done, end - at);
            MemorySegment.copy(buffer, at, target, ValueLayout.JAVA_BYTE, done, count);
            at += count;
            done += count;
        }
        left -= size;
    }

    /** Reads what is left of a short body. @return whether another request can be sent */
    boolean finish() throws IOException {
        if (left > BUFFER_BYTES || !keepAlive) {
            return false;
        }
        while (left > 0) {
            if (at == end && !fill()) {
                return false;
            }
            int count = (int) Math.min(left, end - at);
            at += count;
            left -= count;
        }
        return at == end;
    }

    private boolean fill() throws IOException {
        socket.setSoTimeout(millisTo(deadlineNanos));
        int count = in.read(buffer, 0, buffer.length);
        at = 0;
        end = Math.max(count, 0);
        return count > 0;
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }

    /** Loaded only where TLS is spoken. */
    private static final class Tls {
        private Tls() {}

        static Socket over(Socket raw, ServerLink link) throws IOException {
            SSLSocketFactory factory;
            @Nullable String wanted = link.certificate().orElse(null);
            try {
                if (wanted == null) {
                    factory = SSLContext.getDefault().getSocketFactory();
                } else {
                    SSLContext context = SSLContext.getInstance("TLS");
                    context.init(null, new TrustManager[] {new Pinned(wanted)}, null);
                    factory = context.getSocketFactory();
                }
            } catch (GeneralSecurityException e) {
                throw new IOException("TLS can't be used: " + e.getMessage(), e);
            }
            SSLSocket socket = (SSLSocket) factory.createSocket(raw, link.host(), link.port(), true);
            socket.setEnabledProtocols(new String[] {"TLSv1.3", "TLSv1.2"});
            if (wanted == null) {
                SSLParameters parameters = socket.getSSLParameters();
                parameters.setEndpointIdentificationAlgorithm("HTTPS");
                socket.setSSLParameters(parameters);
            }
            socket.startHandshake();
            return socket;
        }
    }

    /** Trusts one certificate and no other, whoever vouches for it. */
    private record Pinned(String sha256) implements X509TrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String authType) throws CertificateException {
            throw new CertificateException("this is no server");
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String authType) throws CertificateException {
            try {
                byte[] hash = MessageDigest.getInstance("SHA-256").digest(chain[0].getEncoded());
                if (!HexFormat.of().formatHex(hash).equals(sha256)) {
                    throw new CertificateException("the server shows another certificate than the link names");
                }
            } catch (GeneralSecurityException e) {
                throw new CertificateException(e.getMessage(), e);
            }
        }

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
