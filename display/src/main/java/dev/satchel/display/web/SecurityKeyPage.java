package dev.satchel.display.web;

import dev.satchel.linux.crypto.Secrets;
import dev.satchel.linux.crypto.SecureRandom;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * A page for a browser on this computer that has a security key answer (WebAuthn's PRF extension), once: whoever asks holds the link, opens it, and
 * gets what the key said. On loopback only. The page's script and nobody else has the link's secret, which browsers do not send: it is behind
 * the {@code #}. What comes without it, from a page of another origin, or for another host, is refused.
 *
 * <p>Browsers let a page use keys of its own host's name only. For a page at {@code http://localhost:PORT} that is {@code localhost}, which all pages of
 * this computer have: SECURITY.md says what that means. The port is taken at both of {@code localhost}'s addresses, 127.0.0.1 and ::1, so that no other
 * program can answer at one of them in this page's place.
 */
public final class SecurityKeyPage implements AutoCloseable {
    /** Whose credentials they are, for browsers. */
    public static final String RELYING_PARTY = "localhost";

    private static final int SECRET_BYTES = 32;
    private static final int ANSWER_BYTES = 32;
    private static final int USER_BYTES = 16;
    private static final int BODY_BYTES_MAX = 4096;
    private static final int FILE_BYTES_MAX = 64 << 10;
    private static final int CONNECTIONS_MAX = 16;
    private static final int BIND_TRIES_MAX = 20;
    private static final long REQUEST_MILLIS_MAX = 10_000;
    private static final String FILES = "/dev/satchel/display/web/securitykey/";

    /**
     * A credential that a key has.
     *
     * @param id chosen by the key
     * @param salt that its function is evaluated on, 32 bytes
     */
    @SuppressWarnings("ArrayRecordComponent") // nobody compares them by equals
    public record Credential(byte[] id, byte[] salt) {}

    /**
     * What a key answered.
     *
     * @param credential the id of the credential that did
     * @param output 32 bytes, secret; whoever takes it overwrites it
     */
    @SuppressWarnings("ArrayRecordComponent")
    public record Answer(byte[] credential, byte[] output) {}

    /** The key did not answer; the message says why and what to do. */
    public static final class RefusedException extends IOException {
        private static final long serialVersionUID = 1;

        RefusedException(String message) {
            super(message);
        }
    }

    private record Outcome(Optional<Answer> answer, String failure) {}

    private final List<ServerSocket> sockets;
    private final String host;
    private final byte[] secret;
    private final byte[] asked;
    private final LinkedBlockingQueue<Outcome> outcomes = new LinkedBlockingQueue<>(1);
    private final AtomicBoolean ended = new AtomicBoolean();
    private final Semaphore connections = new Semaphore(CONNECTIONS_MAX);

    private SecurityKeyPage(String asked) throws IOException {
        this.asked = asked.getBytes(StandardCharsets.UTF_8);
        this.secret = base64url(random(SECRET_BYTES)).getBytes(StandardCharsets.US_ASCII);
        this.sockets = listen();
        this.host = RELYING_PARTY + ":" + sockets.getFirst().getLocalPort();
        for (ServerSocket socket : sockets) {
            Thread.ofVirtual().name("security key page").start(() -> accept(socket));
        }
    }

    /**
     * Has a new credential made, on a key that has none of those that there are.
     *
     * @param name what the key or the browser may show, e.g. the vault's
     * @param salt for the new credential, 32 bytes
     * @param present whose keys are not to be registered again
     */
    public static SecurityKeyPage enrol(String name, byte[] salt, List<Credential> present) throws IOException {
        return new SecurityKeyPage("{\"what\":\"enrol\",\"relyingParty\":\"" + RELYING_PARTY + "\",\"user\":\""
                + base64url(random(USER_BYTES)) + "\",\"name\":" + HttpConnection.quoted(name) + ",\"salt\":\""
                + base64url(salt) + "\",\"credentials\":" + json(present) + "}");
    }

    /** Has one of these credentials answer. */
    public static SecurityKeyPage ask(List<Credential> credentials) throws IOException {
        return new SecurityKeyPage("{\"what\":\"answer\",\"relyingParty\":\"" + RELYING_PARTY + "\",\"credentials\":"
                + json(credentials) + "}");
    }

    private static String json(List<Credential> credentials) {
        StringBuilder list = new StringBuilder("[");
        for (Credential credential : credentials) {
            list.append(list.length() == 1 ? "" : ",")
                    .append("{\"id\":\"")
                    .append(base64url(credential.id()))
                    .append("\",\"salt\":\"")
                    .append(base64url(credential.salt()))
                    .append("\"}");
        }
        return list.append(']').toString();
    }

    private static byte[] random(int count) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(count);
            SecureRandom.fill(bytes);
            return bytes.toArray(ValueLayout.JAVA_BYTE);
        }
    }

    private static String base64url(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    /** One port at all loopback addresses that {@code localhost} may mean. */
    private static List<ServerSocket> listen() throws IOException {
        InetAddress four = InetAddress.getByAddress(RELYING_PARTY, new byte[] {127, 0, 0, 1});
        byte[] one = new byte[16];
        one[15] = 1;
        InetAddress six = InetAddress.getByAddress(RELYING_PARTY, one);
        boolean hasSix;
        try (ServerSocket probe = new ServerSocket()) {
            probe.bind(new InetSocketAddress(six, 0));
            hasSix = true;
        } catch (SocketException e) {
            hasSix = false; // a host without IPv6: no browser gets there either
        }
        for (int tries = 1; ; tries++) {
            List<ServerSocket> sockets = new ArrayList<>();
            try {
                sockets.add(bound(four, 0));
                if (hasSix) {
                    sockets.add(bound(six, sockets.getFirst().getLocalPort()));
                }
                return sockets;
            } catch (BindException e) {
                for (ServerSocket socket : sockets) {
                    socket.close();
                }
                if (tries == BIND_TRIES_MAX) {
                    throw e;
                }
            }
        }
    }

    private static ServerSocket bound(InetAddress address, int port) throws IOException {
        ServerSocket socket = new ServerSocket();
        try {
            socket.setReuseAddress(false);
            socket.bind(new InetSocketAddress(address, port), CONNECTIONS_MAX);
            return socket;
        } catch (IOException e) {
            socket.close();
            throw e;
        }
    }

    /** What is to be opened in a browser on this computer. As secret as what the key answers, until it has. */
    public String link() {
        return "http://" + host + "/#" + new String(secret, StandardCharsets.US_ASCII);
    }

    /**
     * Waits for the key's answer.
     *
     * @throws RefusedException when the key or its user refused, or nothing came in time
     * @throws InterruptedIOException when the thread is interrupted
     */
    public Answer await(long millisMax) throws IOException {
        Outcome outcome;
        try {
            outcome = outcomes.poll(millisMax, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while waiting for a security key: start it again");
        }
        if (outcome == null) {
            throw new RefusedException("nobody used the page in time: start it again, and open the link in a browser on"
                    + " this computer");
        }
        if (outcome.answer().isEmpty()) {
            throw new RefusedException(outcome.failure());
        }
        return outcome.answer().get();
    }

    @Override
    public void close() throws IOException {
        for (ServerSocket socket : sockets) {
            socket.close();
        }
        Arrays.fill(secret, (byte) 0);
    }

    // ---- what the page and others send

    private void accept(ServerSocket server) {
        while (!server.isClosed()) {
            Socket socket;
            try {
                socket = server.accept();
            } catch (IOException e) {
                return; // closed
            }
            if (connections.tryAcquire()) {
                Thread.ofVirtual().name("security key request").start(() -> {
                    try (socket) {
                        serve(socket);
                    } catch (IOException e) {
                        // A peer that goes, or is too slow, is nobody's concern but its own.
                    } finally {
                        connections.release();
                    }
                });
            } else {
                ViewerServer.closeQuietly(socket);
            }
        }
    }

    private void serve(Socket socket) throws IOException {
        DeadlineInput in = new DeadlineInput(socket);
        in.deadlineIn(REQUEST_MILLIS_MAX);
        OutputStream out = socket.getOutputStream();
        if (!in.await()) {
            return;
        }
        byte[] head = in.readHead();
        try {
            if (head == null) {
                throw new HttpRequest.Refused(431, "more before the body than fits");
            }
            HttpRequest request = HttpRequest.parse(head);
            if (!host.equals(request.header("host"))) {
                throw new HttpRequest.Refused(403, "This server has another name");
            }
            if (request.method().equals("GET")) {
                file(request, out);
            } else if (request.method().equals("POST")) {
                post(request, in, out);
            } else {
                throw new HttpRequest.Refused(405, "There is GET and POST");
            }
        } catch (HttpRequest.Refused e) {
            send(out, e.status, "text/plain; charset=utf-8", e.reason.getBytes(StandardCharsets.UTF_8));
        }
        socket.shutdownOutput();
        in.deadlineIn(1_000);
        in.drain();
    }

    private void send(OutputStream out, int status, String type, byte[] body) throws IOException {
        new HttpResponse(status, host, false)
                .header("Content-Type", type)
                .header("Cache-Control", "no-store")
                .header("Connection", "close")
                .send(out, body, true);
    }

    private void file(HttpRequest request, OutputStream out) throws IOException, HttpRequest.Refused {
        String name;
        String type;
        switch (request.path()) {
            case "/" -> {
                name = "index.html";
                type = "text/html; charset=utf-8";
            }
            case "/page.js" -> {
                name = "page.js";
                type = "text/javascript; charset=utf-8";
            }
            case "/page.css" -> {
                name = "page.css";
                type = "text/css; charset=utf-8";
            }
            default -> throw new HttpRequest.Refused(404, "There is no such file");
        }
        try (InputStream content = SecurityKeyPage.class.getResourceAsStream(FILES + name)) {
            if (content == null) {
                throw new FileNotFoundException("the program lacks its page " + name + ": build it again");
            }
            send(out, 200, type, content.readNBytes(FILE_BYTES_MAX));
        }
    }

    private void post(HttpRequest request, DeadlineInput in, OutputStream out) throws IOException, HttpRequest.Refused {
        // A browser says with every POST where the page is from.
        if (!("http://" + host).equals(request.header("origin"))
                || !request.headers()
                        .getOrDefault("sec-fetch-site", "same-origin")
                        .equals("same-origin")) {
            throw new HttpRequest.Refused(403, "a page of another origin asks");
        }
        String authorization = request.headers().getOrDefault("authorization", "");
        if (!authorization.startsWith("Bearer ")
                || !Secrets.areEqual(secret, authorization.substring(7).getBytes(StandardCharsets.UTF_8))) {
            throw new HttpRequest.Refused(403, "This link was not printed here");
        }
        if (request.length() > BODY_BYTES_MAX) {
            throw new HttpRequest.Refused(413, "more than a key says");
        }
        byte[] body = new byte[(int) request.length()];
        try {
            for (int at = 0; at < body.length; ) {
                int count = in.read(body, at, body.length - at);
                if (count < 0) {
                    return;
                }
                at += count;
            }
            switch (request.path()) {
                case "/ask" -> send(out, 200, "application/json", asked);
                case "/answer" -> {
                    Answer answer = answer(body);
                    if (answer == null) {
                        throw new HttpRequest.Refused(400, "no answer of a key");
                    }
                    end(new Outcome(Optional.of(answer), ""), out);
                }
                case "/failed" ->
                    end(new Outcome(Optional.empty(), reason(new String(body, StandardCharsets.UTF_8))), out);
                default -> throw new HttpRequest.Refused(404, "There is no such path");
            }
        } finally {
            Arrays.fill(body, (byte) 0);
        }
    }

    private void end(Outcome outcome, OutputStream out) throws IOException, HttpRequest.Refused {
        if (!ended.compareAndSet(false, true)) {
            throw new HttpRequest.Refused(409, "the key has answered already");
        }
        try {
            // First: who waits for the outcome ends the program.
            send(out, 200, "text/plain; charset=utf-8", new byte[0]);
        } finally {
            outcomes.add(outcome);
        }
    }

    /** The credential's id and its output, base64url, a space between. */
    private static @Nullable Answer answer(byte[] body) {
        int space = 0;
        while (space < body.length && body[space] != ' ') {
            space++;
        }
        if (space == 0 || space >= body.length) {
            return null;
        }
        byte[] id = Arrays.copyOf(body, space);
        byte[] encoded = Arrays.copyOfRange(body, space + 1, body.length);
        try {
            byte[] output = Base64.getUrlDecoder().decode(encoded);
            return output.length == ANSWER_BYTES
                    ? new Answer(Base64.getUrlDecoder().decode(id), output)
                    : null;
        } catch (IllegalArgumentException e) {
            return null;
        } finally {
            Arrays.fill(encoded, (byte) 0);
        }
    }

    /** For people, of what the page says went wrong: a name of Web IDL's, or one of the page's own. */
    private static String reason(String name) {
        return switch (name) {
            case "NotAllowedError", "AbortError" ->
                "the security key did not answer, as it was cancelled, took too long, or is not one of this vault's: try again"
                        + " with the right key";
            case "InvalidStateError" ->
                "this security key opens the vault already: use another one, or remove it first with 'satchel vault keys"
                        + " rm'";
            case "NoPrf", "NotSupportedError", "ConstraintError" ->
                "this security key or browser lacks what is needed (user verification, and WebAuthn's PRF extension, FIDO2's"
                        + " hmac-secret): use another";
            case "NoWebAuthn", "SecurityError" ->
                "this browser lets the page use no security keys: open the link as it is printed, in another browser";
            default -> "the page failed in the browser: try again, or use another browser";
        };
    }
}
