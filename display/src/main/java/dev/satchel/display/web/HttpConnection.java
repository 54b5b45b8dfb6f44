package dev.satchel.display.web;

import dev.satchel.display.web.Access.Right;
import dev.satchel.display.web.Connections.Standing;
import dev.satchel.linux.crypto.Sha1;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One connection that was accepted: requests one after the other, of which one may make it a viewer's stream. Run by one thread. */
final class HttpConnection implements Connections.Open {
    private static final long FIRST_MILLIS_MAX = 10_000;
    private static final long IDLE_MILLIS_MAX = 30_000;
    private static final long HEAD_MILLIS_MAX = 10_000;
    private static final long BODY_MILLIS_MAX = 30_000;
    private static final long DRAIN_MILLIS_MAX = 1_000;
    /** RFC 6455 §1.3. */
    private static final String WEB_SOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

    private static final String SUBPROTOCOL = "satchel.1";
    private static final String STREAM = "/stream";
    /** For VNC clients in browsers. Those that name a subprotocol name this one. */
    private static final String RFB = "/rfb";

    private static final String RFB_SUBPROTOCOL = "binary";
    private static final String FORBIDDEN =
            "<!doctype html><html lang=en><meta charset=utf-8><title>Satchel</title><h1>This link does not open a session</h1>"
                    + "<p>It is not whole, or the session has ended since, or runs elsewhere now. <code>satchel view NAME</code> prints the"
                    + " link of a session that runs.";

    private final ViewerServer server;
    private final Socket raw;
    private volatile boolean stream;
    private volatile Standing standing = Standing.STRANGER;
    private volatile @Nullable Thread serving;

    HttpConnection(ViewerServer server, Socket raw) {
        this.server = server;
        this.raw = raw;
    }

    boolean isStream() {
        return stream;
    }

    /** Whether the thread that asks is the one that serves it. */
    boolean isServedHere() {
        return Thread.currentThread().equals(serving);
    }

    @Override
    public InetAddress peer() {
        return raw.getInetAddress();
    }

    @Override
    public Standing standing() {
        return standing;
    }

    /** At once, whatever its thread does. */
    @Override
    public void abort() {
        ViewerServer.closeQuietly(raw);
    }

    void run() {
        serving = Thread.currentThread();
        try (raw) {
            raw.setTcpNoDelay(true);
            Socket socket = server.secured(raw, (int) FIRST_MILLIS_MAX);
            DeadlineInput in = new DeadlineInput(socket);
            OutputStream out = socket.getOutputStream();
            long patience = FIRST_MILLIS_MAX;
            while (serve(socket, in, out, patience)) {
                patience = IDLE_MILLIS_MAX;
            }
            if (!stream) {
                raw.shutdownOutput();
                in.deadlineIn(DRAIN_MILLIS_MAX);
                in.drain();
            }
        } catch (IOException e) {
            // A peer that goes, or is too slow, is nobody's concern but its own.
        } catch (RuntimeException e) {
            server.log("a request could not be handled: " + e);
        }
    }

    /** @return whether another request may follow */
    private boolean serve(Socket socket, DeadlineInput in, OutputStream out, long patience) throws IOException {
        in.deadlineIn(patience);
        if (!in.await()) {
            return false;
        }
        in.deadlineIn(HEAD_MILLIS_MAX);
        byte[] head = in.readHead();
        HttpRequest request;
        try {
            if (head == null) {
                throw new HttpRequest.Refused(
                        431, "more than " + DeadlineInput.BUFFER_BYTES + " bytes before the body");
            }
            request = HttpRequest.parse(head);
        } catch (HttpRequest.Refused e) {
            text(begin(e.status, null), out, e.reason, true);
            return false;
        }
        return new Exchange(request, socket, in, out).serve();
    }

    private HttpResponse begin(int status, @Nullable HttpRequest request) {
        String host = request == null ? "" : request.headers().getOrDefault("host", "");
        return new HttpResponse(status, host, server.isSecure());
    }

    private static void text(HttpResponse response, OutputStream out, String text, boolean withBody)
            throws IOException {
        response.header("Content-Type", "text/plain; charset=utf-8")
                .header("Cache-Control", "no-store")
                .header("Connection", "close")
                .send(out, (text + "\n").getBytes(StandardCharsets.UTF_8), withBody);
    }

    /** A request and its answer. */
    private final class Exchange {
        private final HttpRequest request;
        private final Socket socket;
        private final DeadlineInput in;
        private final OutputStream out;
        private final boolean head;
        private final Body body;

        Exchange(HttpRequest request, Socket socket, DeadlineInput in, OutputStream out) {
            this.request = request;
            this.socket = socket;
            this.in = in;
            this.out = out;
            this.head = request.method().equals("HEAD");
            this.body = new Body(in, out, request);
        }

        /** @return whether another request may follow */
        boolean serve() throws IOException {
            if (!server.isOwnHost(request.headers().getOrDefault("host", ""), socket.getLocalAddress())) {
                text(begin(403, null), out, "This server has another name", !head);
                return false;
            }
            route();
            if (standing == Standing.SERVED) {
                standing = Standing.IDLE;
            }
            return !stream && mayFollow();
        }

        private boolean mayFollow() {
            return request.keepAlive() && body.left == 0 && !server.isClosing();
        }

        private void route() throws IOException {
            String path = request.path();
            String offered = request.query().get("k");
            boolean reading = head || request.method().equals("GET");
            if (path.equals("/") && offered != null && reading) {
                Right right = server.access().bySecret(offered);
                if (right == null) {
                    forbid(true);
                    return;
                }
                standing = Standing.SERVED;
                response(303)
                        .header("Location", "/")
                        .header("Set-Cookie", server.access().setCookie(right))
                        .header("Cache-Control", "no-store")
                        .send(out, new byte[0], !head);
                return;
            }
            boolean program = path.startsWith("/api/") || path.equals(STREAM) || path.equals(RFB);
            String cookie = request.headers().getOrDefault("cookie", "");
            String authorization = request.headers().getOrDefault("authorization", "");
            boolean bearer = program && authorization.regionMatches(true, 0, "Bearer ", 0, 7);
            boolean shown = bearer;
            Right right;
            if (path.equals(RFB) && offered != null) {
                // From who can't set headers, as other pages than this server's.
                shown = true;
                right = server.access().bySecret(offered);
            } else if (bearer) {
                right = server.access().bySecret(authorization.substring(7).strip());
            } else {
                right = server.access().byCookie(cookie);
            }
            standing = right == null ? Standing.STRANGER : Standing.SERVED;
            if (right == null) {
                forbid(shown || server.access().hasCookie(cookie));
            } else if (path.equals(STREAM)) {
                stream(right);
            } else if (path.equals(RFB)) {
                rfb(right, shown);
            } else if (path.startsWith("/api/")) {
                api(right);
            } else {
                file(reading);
            }
        }

        private HttpResponse response(int status) {
            HttpResponse response = begin(status, request);
            if (!mayFollow()) {
                response.header("Connection", "close");
            }
            return response;
        }

        /** @param guessed whether something was offered that is wrong */
        private void forbid(boolean guessed) throws IOException {
            boolean often = guessed && server.access().wrongFrom(socket.getInetAddress());
            HttpResponse response = response(often ? 429 : 403).header("Cache-Control", "no-store");
            if (often) {
                response.header("Retry-After", "60");
            } else if ("cross-site".equals(request.header("sec-fetch-site"))
                    && "navigate".equals(request.header("sec-fetch-mode"))) {
                // A link in somebody's web mail leads here by a redirect, and a strict cookie is not sent as long as
                // the way began on
                // another site: begin it here. The second time it is no other site's.
                response.header("Refresh", "0; url=/");
            }
            response.header("Content-Type", "text/html; charset=utf-8")
                    .send(out, FORBIDDEN.getBytes(StandardCharsets.UTF_8), !head);
        }

        private void refuse(int status, String text) throws IOException {
            response(status)
                    .header("Content-Type", "text/plain; charset=utf-8")
                    .header("Cache-Control", "no-store")
                    .send(out, (text + "\n").getBytes(StandardCharsets.UTF_8), !head);
        }

        private void file(boolean reading) throws IOException {
            StaticFiles.File file = server.files().find(request.path());
            if (file == null) {
                refuse(404, "There is no such file");
                return;
            }
            if (!reading) {
                refuse(405, "This is only for reading");
                return;
            }
            String known = request.header("if-none-match");
            if (known != null && (known.equals("*") || HttpRequest.hasWord(known, file.tag()))) {
                response(304)
                        .header("ETag", file.tag())
                        .header("Cache-Control", "no-cache")
                        .sendHead(out);
                return;
            }
            response(200)
                    .header("Content-Type", file.type())
                    .header("ETag", file.tag())
                    .header("Cache-Control", "no-cache")
                    .send(out, file.content(), !head);
        }

        private boolean isOwnOrigin(@Nullable String origin) {
            return origin == null
                    || origin.equalsIgnoreCase((server.isSecure() ? "https://" : "http://") + request.header("host"));
        }

        private void api(Right right) throws IOException {
            String method = head ? "GET" : request.method();
            String path = request.path().substring("/api/".length());
            boolean reading = method.equals("GET");
            String site = request.headers().getOrDefault("sec-fetch-site", "none");
            if (!isOwnOrigin(request.header("origin")) || site.equals("cross-site") || site.equals("same-site")) {
                json(403, "a page of another origin asks");
            } else if (!reading && !method.equals("POST") && !method.equals("PUT") && !method.equals("DELETE")) {
                json(405, "there is GET, POST, PUT and DELETE");
            } else if (!reading && right != Right.CONTROL) {
                json(403, "this link is only for looking");
            } else if (request.length() > server.api().bodyBytesMax(method, path)) {
                json(413, "the body is longer than " + server.api().bodyBytesMax(method, path) + " bytes");
            } else {
                answer(right, method, path);
            }
        }

        private void answer(Right right, String method, String path) throws IOException {
            Api.Response answer;
            try {
                answer = server.api()
                        .handle(new Api.Request(
                                method,
                                path,
                                request.query(),
                                right == Right.CONTROL,
                                request.headers(),
                                request.length(),
                                body));
            } catch (IOException e) {
                if (body.failed) {
                    throw e;
                }
                json(500, e.getMessage() == null ? e.toString() : e.getMessage());
                return;
            } catch (RuntimeException e) {
                server.log(method + " /api/" + path + ": " + e);
                json(500, "this is a fault of the program");
                return;
            }
            try (InputStream content = answer.body()) {
                HttpResponse response = response(answer.status())
                        .header("Content-Type", clean(answer.contentType()))
                        .header("Cache-Control", "no-store");
                if (answer.fileName().isPresent()) {
                    response.header(
                            "Content-Disposition",
                            "attachment; filename*=UTF-8''"
                                    + percent(answer.fileName().get()));
                }
                if (answer.contentRange().isPresent()) {
                    response.header("Content-Range", clean(answer.contentRange().get()));
                }
                response.send(out, content, answer.length(), !head);
            }
        }

        private void json(int status, String error) throws IOException {
            response(status)
                    .header("Content-Type", "application/json")
                    .header("Cache-Control", "no-store")
                    .send(out, ("{\"error\":" + quoted(error) + "}").getBytes(StandardCharsets.UTF_8), !head);
        }

        /** @return the key of a WebSocket that is to begin; null if this is none, which was answered then */
        private @Nullable String webSocketKey() throws IOException {
            String key = request.header("sec-websocket-key");
            if (!request.method().equals("GET")
                    || !"websocket".equalsIgnoreCase(request.header("upgrade"))
                    || !HttpRequest.hasWord(request.header("connection"), "upgrade")
                    || !"13".equals(request.header("sec-websocket-version"))) {
                response(426)
                        .header("Upgrade", "websocket")
                        .header("Sec-WebSocket-Version", "13")
                        .header("Content-Type", "text/plain")
                        .send(out, "Here is a WebSocket\n".getBytes(StandardCharsets.UTF_8), !head);
                return null;
            }
            if (request.length() > 0 || key == null || key.length() != 24) {
                refuse(400, "That is no WebSocket's beginning");
                return null;
            }
            return key;
        }

        private void upgrade(String key, boolean withSubprotocol, String subprotocol) throws IOException {
            stream = true;
            HttpResponse response = begin(101, request)
                    .header("Upgrade", "websocket")
                    .header("Connection", "Upgrade")
                    .header("Sec-WebSocket-Accept", accept(key));
            if (withSubprotocol) {
                response.header("Sec-WebSocket-Protocol", subprotocol);
            }
            response.sendHead(out);
        }

        private void stream(Right right) throws IOException {
            String key = webSocketKey();
            if (key == null) {
                return;
            }
            if (!HttpRequest.hasWord(request.header("sec-websocket-protocol"), SUBPROTOCOL)) {
                refuse(400, "The subprotocol here is " + SUBPROTOCOL);
            } else if (!isOwnOrigin(request.header("origin"))) {
                refuse(403, "A page of another origin asks");
            } else {
                ViewerStream viewer =
                        new ViewerStream(server, raw, in, out, right == Right.CONTROL, server.silenceMillisMax());
                if (!server.add(viewer)) {
                    refuse(503, "More viewers than this session can have");
                    return;
                }
                try {
                    upgrade(key, true, SUBPROTOCOL);
                    viewer.run();
                } finally {
                    server.remove(viewer);
                }
            }
        }

        /** @param anyOrigin whether it has shown the secret itself: a cookie is sent whoever's page asks */
        private void rfb(Right right, boolean anyOrigin) throws IOException {
            Consumer<WebSocketBytes> clients = server.vncClients();
            if (clients == null) {
                refuse(404, "VNC clients are not served here");
                return;
            }
            String key = webSocketKey();
            if (key == null) {
                return;
            }
            String subprotocols = request.header("sec-websocket-protocol");
            if (subprotocols != null && !HttpRequest.hasWord(subprotocols, RFB_SUBPROTOCOL)) {
                refuse(400, "The subprotocol here is " + RFB_SUBPROTOCOL);
            } else if (!anyOrigin && !isOwnOrigin(request.header("origin"))) {
                refuse(403, "A page of another origin asks");
            } else {
                upgrade(key, subprotocols != null, RFB_SUBPROTOCOL);
                clients.accept(new WebSocketBytes(raw, in, out, right == Right.CONTROL));
            }
        }
    }

    /** RFC 6455 §4.2.2. */
    private static String accept(String key) {
        byte[] bytes = (key + WEB_SOCKET).getBytes(StandardCharsets.ISO_8859_1);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment message = arena.allocate(bytes.length);
            MemorySegment.copy(bytes, 0, message, ValueLayout.JAVA_BYTE, 0, bytes.length);
            MemorySegment hash = arena.allocate(Sha1.BYTES);
            Sha1.hash(message, hash);
            return Base64.getEncoder().encodeToString(hash.toArray(ValueLayout.JAVA_BYTE));
        }
    }

    private static String clean(String value) {
        return value.indexOf('\r') < 0 && value.indexOf('\n') < 0 ? value : "application/octet-stream";
    }

    /** RFC 8187 §3.2. */
    private static String percent(String text) {
        StringBuilder encoded = new StringBuilder();
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            boolean plain =
                    (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '.' || b == '-';
            if (plain) {
                encoded.append((char) b);
            } else {
                encoded.append('%')
                        .append(Character.toUpperCase(Character.forDigit(b >> 4 & 15, 16)))
                        .append(Character.toUpperCase(Character.forDigit(b & 15, 16)));
            }
        }
        return encoded.toString();
    }

    /** RFC 8259 §7. */
    static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < ' ') {
                quoted.append("\\u00").append(Character.forDigit(c >> 4, 16)).append(Character.forDigit(c & 15, 16));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }

    /** The body of a request. */
    private static final class Body extends InputStream {
        private final DeadlineInput in;
        private final OutputStream out;
        private boolean expected;
        private long left;
        private boolean failed;

        Body(DeadlineInput in, OutputStream out, HttpRequest request) {
            this.in = in;
            this.out = out;
            this.expected = "100-continue".equalsIgnoreCase(request.header("expect"));
            this.left = request.length();
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            if (left == 0) {
                return -1;
            }
            if (length == 0) {
                return 0;
            }
            boolean done = false;
            try {
                if (expected) {
                    // RFC 9110 §10.1.1: only now is the body wanted.
                    expected = false;
                    out.write("HTTP/1.1 100 Continue\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
                }
                in.deadlineIn(BODY_MILLIS_MAX);
                int count = in.read(into, offset, (int) Math.min(length, left));
                if (count < 0) {
                    throw new EOFException("the request ended " + left + " bytes before its body did");
                }
                left -= count;
                done = true;
                return count;
            } finally {
                failed |= !done;
            }
        }
    }
}
