package dev.satchel.display.rfb;

import dev.satchel.display.Display;
import dev.satchel.display.Motions;
import dev.satchel.display.Rectangle;
import dev.satchel.display.Viewer;
import dev.satchel.display.web.Connections;
import dev.satchel.display.web.Connections.Standing;
import dev.satchel.display.web.DeadlineInput;
import dev.satchel.display.web.TlsIdentity;
import dev.satchel.display.web.TlsSource;
import dev.satchel.display.web.WebSocketBytes;
import dev.satchel.linux.crypto.Secrets;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ProtocolException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import jdk.net.ExtendedSocketOptions;
import org.jspecify.annotations.Nullable;

/**
 * One client's connection: agrees upon who it is and how it is spoken to, then reads what it says; {@link RfbSender} has a thread of its
 * own. Whatever a client does or leaves, it holds up these two threads and nobody else.
 */
final class RfbConnection implements Connections.Open {
    private static final String VERSION = "RFB 003.008\n";
    private static final long HANDSHAKE_MILLIS_MAX = 10_000;
    /** People are asked for the password in between. */
    private static final long PASSWORD_MILLIS_MAX = 120_000;
    /** A message that has begun comes to its end within this. */
    private static final long MESSAGE_MILLIS_MAX = 60_000;

    private static final long SILENCE_MILLIS_MAX = 365L * 24 * 3600 * 1000;
    /** tcp(7): a client that is silent and out of reach is gone after a minute; one that is only silent stays. */
    private static final int KEEPALIVE_IDLE_SECONDS = 30;

    private static final int KEEPALIVE_INTERVAL_SECONDS = 10;
    private static final int KEEPALIVE_COUNT = 3;

    private static final int NONE = 1;
    private static final int VNC_AUTHENTICATION = 2;
    private static final int VENCRYPT = 19;
    private static final int X509_VNC = 261;
    private static final int X509_PLAIN = 262;
    /** Of a user's name, and of a password that is sent as it is. */
    private static final int PLAIN_BYTES_MAX = 1024;

    private static final int SET_PIXEL_FORMAT = 0;
    private static final int SET_ENCODINGS = 2;
    private static final int UPDATE_REQUEST = 3;
    private static final int KEY = 4;
    private static final int POINTER = 5;
    private static final int CUT_TEXT = 6;
    private static final int ENABLE_CONTINUOUS_UPDATES = 150;
    private static final int FENCE = 248;
    private static final int SET_DESKTOP_SIZE = 251;

    private static final int ENCODINGS_MAX = 4096;
    private static final int FENCE_BYTES_MAX = 64;
    /** What is longer than may be pasted is read and forgotten, up to this. */
    private static final int CUT_TEXT_SKIPPED_MAX = 256 << 20;

    private static final int SIDE_MIN = 64;
    private static final int STATUS_PROHIBITED = 1;

    /** What a client is to prove that it knows a password by. */
    private enum Proof {
        /** Nothing: it was let in before. */
        NONE,
        CHALLENGE,
        PLAIN
    }

    private final RfbServer server;
    private final Socket raw;
    /** Null: whoever comes was let in before. */
    private final RfbServer.@Nullable Door door;

    private DeadlineInput in;
    private OutputStream out;
    private final RfbMessage message = new RfbMessage();

    private boolean control;
    private @Nullable Display display;
    private Rectangle maximum = new Rectangle(0, 0, 0, 0);
    private ClientEncodings encodings = ClientEncodings.NONE;
    private @Nullable Viewer viewer;
    private boolean viewerVideo;
    private volatile @Nullable RfbSender sender;
    private volatile boolean admitted;

    RfbConnection(RfbServer server, Socket raw, RfbServer.Door door) throws IOException {
        this.server = server;
        this.raw = raw;
        this.door = door;
        this.in = new DeadlineInput(raw);
        this.out = raw.getOutputStream();
    }

    RfbConnection(RfbServer server, WebSocketBytes client) {
        this.server = server;
        this.raw = client.socket();
        this.door = null;
        this.in = client.input();
        this.out = client.output();
        this.control = client.control();
    }

    @Override
    public InetAddress peer() {
        return raw.getInetAddress();
    }

    @Override
    public Standing standing() {
        return admitted || door == null ? Standing.SERVED : Standing.STRANGER;
    }

    @Override
    public void abort() {
        RfbServer.closeQuietly(raw);
    }

    void tellName(String name) {
        RfbSender to = sender;
        if (to != null) {
            to.tellName(name);
        }
    }

    /** Serves the client until it goes, or is sent away; the socket is closed then. */
    void run() {
        Thread sending = null;
        try {
            raw.setTcpNoDelay(true);
            raw.setKeepAlive(true);
            raw.setOption(ExtendedSocketOptions.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS);
            raw.setOption(ExtendedSocketOptions.TCP_KEEPINTERVAL, KEEPALIVE_INTERVAL_SECONDS);
            raw.setOption(ExtendedSocketOptions.TCP_KEEPCOUNT, KEEPALIVE_COUNT);
            in.deadlineIn(HANDSHAKE_MILLIS_MAX);
            RfbSender to = agree();
            if (to == null) {
                return;
            }
            sender = to;
            // A thread of the system's, not a virtual one: encoding would keep others off their carriers.
            sending = Thread.ofPlatform().daemon().name("vnc").start(() -> send(to));
            read(to);
        } catch (ProtocolException e) {
            server.log("a VNC client was sent away: " + e.getMessage());
        } catch (IOException e) {
            // It is gone, or was told why it must.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            server.log("a VNC client's message could not be handled: " + e);
        } finally {
            abort();
            RfbSender last = sender;
            if (last != null) {
                last.stop();
            }
            if (sending != null) {
                joinUninterruptibly(sending);
            }
            if (viewer != null) {
                viewer.close();
            }
            server.connectionEnded(this);
        }
    }

    private void send(RfbSender to) {
        try {
            to.run();
        } catch (IOException e) {
            // The client is gone, or the display is: whoever reads will see it too.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            server.log("a VNC client is given up: " + e);
        } finally {
            to.stop();
            abort();
        }
    }

    private static void joinUninterruptibly(Thread thread) {
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    // ---- Agreeing (RFC 6143 §7.1 to §7.3)

    /** @return null if the client was refused, and told so */
    private @Nullable RfbSender agree() throws IOException, InterruptedException {
        out.write(VERSION.getBytes(StandardCharsets.US_ASCII));
        out.flush();
        int minor = minorVersion();
        Proof proof = door == null ? knownBefore(minor) : secure(minor, door);
        if (proof == null || (door != null && !authenticate(minor, proof, door.passwords()))) {
            return null;
        }
        // Without a proof of its own a client before 3.8 is told nothing of it (RFC 6143 §7.1.3, appendix).
        boolean tellsResult = proof != Proof.NONE || minor >= 8;
        Rectangle bounds;
        try {
            Display now = server.display();
            now.await();
            bounds = now.bounds();
            maximum = now.maximum();
            display = now;
        } catch (IOException e) {
            if (tellsResult) {
                result(minor, e.getMessage() == null ? "there is no display" : e.getMessage());
            }
            return null;
        }
        if (tellsResult) {
            result(minor, null);
        }
        in.deadlineIn(HANDSHAKE_MILLIS_MAX);
        boolean shared = in.read() != 0;
        if (!server.admit(this, control && !shared)) {
            return null;
        }
        admitted = true;
        byte[] name = server.name().getBytes(StandardCharsets.UTF_8);
        message.u16(bounds.width()).u16(bounds.height());
        PixelFormat.OWN.write(message);
        message.u32(name.length).bytes(name).send(out);
        return new RfbSender(out, bounds);
    }

    private InetAddress address() {
        return raw.getInetAddress();
    }

    private int minorVersion() throws IOException {
        String version = new String(readBytes(VERSION.length()), StandardCharsets.ISO_8859_1);
        if (!version.startsWith("RFB 003.") || !version.endsWith("\n")) {
            throw new ProtocolException("it does not speak RFB 3");
        }
        int minor = 0;
        for (int i = 8; i < 11; i++) {
            int digit = version.charAt(i) - '0';
            if (digit < 0 || digit > 9) {
                throw new ProtocolException("it does not speak RFB 3");
            }
            minor = 10 * minor + digit;
        }
        // Others than these are to be treated as 3.3 (RFC 6143 §7.1.1), but later ones can do what 3.8 can.
        return minor >= 8 ? 8 : minor == 7 ? 7 : 3;
    }

    private Proof knownBefore(int minor) throws IOException {
        if (minor == 3) {
            message.u32(NONE).send(out);
            return Proof.NONE;
        }
        message.u8(1).u8(NONE).send(out);
        if (in.read() != NONE) {
            throw new ProtocolException("it wants security of a type that it was not offered");
        }
        return Proof.NONE;
    }

    /** Agrees upon how the connection is kept. @return null if it is not */
    private @Nullable Proof secure(int minor, RfbServer.Door at) throws IOException {
        if (server.wrongGuesses().exhausted(address())) {
            refuseBeforeSecurity(minor, "too many wrong passwords came from your address: try again in a minute");
            return null;
        }
        Optional<TlsSource> tls = at.tls();
        boolean plain = tls.isEmpty() || address().isLoopbackAddress();
        if (minor == 3) {
            if (!plain) {
                refuseBeforeSecurity(minor, "your client knows no encryption: this server wants VeNCrypt");
                return null;
            }
            message.u32(VNC_AUTHENTICATION).send(out);
            return Proof.CHALLENGE;
        }
        // Clients take the first that they know: what needs no certificate to be looked at, where nobody is in between.
        message.u8((plain ? 1 : 0) + (tls.isPresent() ? 1 : 0));
        if (plain) {
            message.u8(VNC_AUTHENTICATION);
        }
        if (tls.isPresent()) {
            message.u8(VENCRYPT);
        }
        message.send(out);
        int type = in.read();
        if (type == VNC_AUTHENTICATION && plain) {
            return Proof.CHALLENGE;
        }
        if (type != VENCRYPT || tls.isEmpty()) {
            throw new ProtocolException("it wants security of a type that it was not offered");
        }
        return vencrypt(tls.get());
    }

    /** rfbproto, "VeNCrypt", version 0.2. */
    private @Nullable Proof vencrypt(TlsSource tls) throws IOException {
        message.u8(0).u8(2).send(out);
        if (in.read() != 0 || in.read() != 2) {
            message.u8(0xff).send(out);
            return null;
        }
        message.u8(0).u8(2).u32(X509_PLAIN).u32(X509_VNC).send(out);
        int subtype = read(4).getInt();
        if (subtype != X509_PLAIN && subtype != X509_VNC) {
            message.u8(0).send(out);
            return null;
        }
        if (in.buffered() > 0) {
            throw new ProtocolException("it said something before there was encryption");
        }
        TlsIdentity identity;
        try {
            identity = tls.identity();
        } catch (IOException e) {
            server.log("a VNC client could not be let in: " + e.getMessage());
            message.u8(0).send(out);
            return null;
        }
        message.u8(1).send(out);
        Socket socket = identity.accept(raw, (int) HANDSHAKE_MILLIS_MAX);
        in = new DeadlineInput(socket);
        out = socket.getOutputStream();
        return subtype == X509_PLAIN ? Proof.PLAIN : Proof.CHALLENGE;
    }

    private boolean authenticate(int minor, Proof proof, RfbServer.Passwords passwords) throws IOException {
        boolean mayLook;
        Optional<String> look = passwords.look();
        if (proof == Proof.PLAIN) {
            in.deadlineIn(PASSWORD_MILLIS_MAX);
            ByteBuffer lengths = read(8);
            // Whoever knows a password is let in: they are the session's, not users'.
            byte[] ignored = plain(lengths.getInt());
            byte[] password = plain(lengths.getInt());
            control = isSame(passwords.control(), password);
            mayLook = look.isPresent() && isSame(look.get(), password);
        } else {
            byte[] challenge = VncAuthentication.challenge();
            out.write(challenge);
            out.flush();
            in.deadlineIn(PASSWORD_MILLIS_MAX);
            byte[] response = readBytes(VncAuthentication.CHALLENGE_BYTES);
            control = VncAuthentication.isRight(passwords.control(), challenge, response);
            mayLook = look.isPresent() && VncAuthentication.isRight(look.get(), challenge, response);
        }
        // Those that asked at once are not let in either: else each would have ten guesses for every connection it
        // opens.
        if (server.wrongGuesses().exhausted(address())) {
            result(minor, "too many wrong passwords came from your address: try again in a minute");
            return false;
        }
        if (!control && !mayLook) {
            boolean ignored = server.wrongGuesses().count(address());
            result(minor, "that is not the password");
            return false;
        }
        return true;
    }

    private byte[] plain(int length) throws IOException {
        if (length < 0 || length > PLAIN_BYTES_MAX) {
            throw new ProtocolException(
                    "it sent a name or a password of " + Integer.toUnsignedString(length) + " bytes");
        }
        return readBytes(length);
    }

    private static boolean isSame(String known, byte[] offered) {
        return Secrets.areEqual(known.getBytes(StandardCharsets.UTF_8), offered);
    }

    /** @param failed null if it is let in */
    private void result(int minor, @Nullable String failed) throws IOException {
        message.u32(failed == null ? 0 : 1);
        if (failed != null && minor >= 8) {
            reason(failed);
        }
        message.send(out);
    }

    private void refuseBeforeSecurity(int minor, String why) throws IOException {
        if (minor == 3) {
            message.u32(0);
        } else {
            message.u8(0);
        }
        reason(why);
        message.send(out);
        // What is unread when a socket is closed destroys what was sent.
        raw.shutdownOutput();
        in.deadlineIn(1_000);
        in.drain();
    }

    private void reason(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        message.u32(bytes.length).bytes(bytes);
    }

    // ---- Reading

    private void read(RfbSender to) throws IOException, InterruptedException {
        Motions motions = new Motions(this::pointer);
        while (true) {
            if (in.buffered() == 0) {
                motions.flush();
            }
            in.deadlineIn(SILENCE_MILLIS_MAX);
            if (!in.await()) {
                return;
            }
            in.deadlineIn(MESSAGE_MILLIS_MAX);
            int type = in.read();
            if (type == POINTER) {
                int buttons = in.read();
                ByteBuffer place = read(4);
                if ((buttons & 0x80) != 0 && encodings.extendedButtons()) {
                    buttons = (buttons & 0x7f) | ((in.read() & 3) << 7);
                }
                motions.add(u16(place), u16(place), buttons);
                to.handledOther();
                continue;
            }
            motions.flush();
            handle(type, to);
        }
    }

    private void handle(int type, RfbSender to) throws IOException, InterruptedException {
        switch (type) {
            case SET_PIXEL_FORMAT -> {
                ByteBuffer body = read(3 + PixelFormat.BYTES).position(3);
                to.post(new Order.Format(PixelFormat.read(body)));
            }
            case SET_ENCODINGS -> setEncodings(to);
            case UPDATE_REQUEST -> {
                boolean incremental = in.read() != 0;
                Rectangle area = area();
                attach(to);
                to.post(new Order.Request(incremental, area));
            }
            case KEY -> {
                ByteBuffer body = read(7);
                boolean down = body.get() != 0;
                int keysym = body.position(3).getInt();
                Viewer now = attach(to);
                if (control) {
                    ask(() -> now.key(keysym, down));
                }
                to.handledOther();
            }
            case CUT_TEXT -> cutText(to);
            case ENABLE_CONTINUOUS_UPDATES -> {
                boolean enable = in.read() != 0;
                to.post(new Order.Continuous(enable, area()));
            }
            case FENCE -> fence(to);
            case SET_DESKTOP_SIZE -> setDesktopSize(to);
            default -> throw new ProtocolException("it sent a message of type " + type);
        }
    }

    private void setEncodings(RfbSender to) throws IOException, InterruptedException {
        in.read();
        int count = u16(read(2));
        if (count > ENCODINGS_MAX) {
            throw new ProtocolException("it named " + count + " encodings");
        }
        ByteBuffer body = read(4 * count);
        int[] numbers = new int[count];
        body.asIntBuffer().get(numbers);
        encodings = ClientEncodings.of(numbers);
        attach(to);
        to.post(new Order.Encodings(encodings));
    }

    /** Begins to look, or does so anew if moving pictures are to be sent in another way now. */
    private Viewer attach(RfbSender to) throws IOException {
        Viewer before = viewer;
        if (before != null && viewerVideo == encodings.video()) {
            return before;
        }
        Display from = display;
        if (from == null) {
            throw new IllegalStateException("no display was agreed upon");
        }
        Viewer now = from.attach(new Viewer.Options(control, encodings.video()));
        viewer = now;
        viewerVideo = encodings.video();
        to.use(now);
        if (before != null) {
            before.close();
        }
        return now;
    }

    private void pointer(int x, int y, int buttons) {
        Viewer now = viewer;
        if (control && now != null) {
            ask(() -> now.pointer(x, y, buttons));
        }
    }

    private void cutText(RfbSender to) throws IOException, InterruptedException {
        int length = read(7).position(3).getInt();
        boolean extended = length < 0 && encodings.extendedClipboard();
        if (length < 0) {
            length = -length;
        }
        if (length < 0 || length > CUT_TEXT_SKIPPED_MAX) {
            throw new ProtocolException("it sent text of " + Integer.toUnsignedString(length) + " bytes");
        }
        if (length > ExtendedClipboard.BYTES_MAX) {
            skip(length);
            to.handledOther();
            return;
        }
        byte[] bytes = readBytes(length);
        Viewer now = attach(to);
        if (!extended) {
            String text = ExtendedClipboard.withoutCarriageReturns(new String(bytes, StandardCharsets.ISO_8859_1));
            if (control) {
                ask(() -> now.setClipboard(text));
            }
            to.handledOther();
            return;
        }
        if (length < 4) {
            throw new ProtocolException("it sent a clipboard message of " + length + " bytes");
        }
        ByteBuffer body = ByteBuffer.wrap(bytes);
        int flags = body.getInt();
        if ((flags & ExtendedClipboard.CAPS) != 0) {
            to.post(new Order.ClipboardActions(flags));
        } else if ((flags & ExtendedClipboard.REQUEST) != 0 && ExtendedClipboard.isOfText(flags)) {
            to.post(new Order.ClipboardText());
        } else if ((flags & ExtendedClipboard.PEEK) != 0) {
            to.post(new Order.ClipboardPeek());
        } else if ((flags & ExtendedClipboard.NOTIFY) != 0 && ExtendedClipboard.isOfText(flags) && control) {
            to.post(new Order.ClipboardOffered());
        } else {
            if ((flags & ExtendedClipboard.PROVIDE) != 0 && ExtendedClipboard.isOfText(flags) && control) {
                Optional<String> text = ExtendedClipboard.provided(body);
                if (text.isPresent()) {
                    ask(() -> now.setClipboard(text.get()));
                }
            }
            to.handledOther();
        }
    }

    private void fence(RfbSender to) throws IOException, InterruptedException {
        int flags = read(7).position(3).getInt();
        int length = in.read();
        if (length > FENCE_BYTES_MAX) {
            throw new ProtocolException("it sent a fence of " + length + " bytes");
        }
        byte[] payload = readBytes(length);
        if ((flags & RfbSender.FENCE_REQUEST) == 0) {
            if (length == RfbSender.SERIAL_BYTES
                    && !to.acknowledged(ByteBuffer.wrap(payload).getLong())) {
                throw new ProtocolException("it answered a fence that was not sent");
            }
            to.handledOther();
            return;
        }
        // All is done in the order in which it came: nothing else is needed for the first two.
        int kept = flags & (RfbSender.FENCE_BLOCK_BEFORE | RfbSender.FENCE_BLOCK_AFTER | RfbSender.FENCE_SYNC_NEXT);
        Order.Fence answer = new Order.Fence(kept, payload);
        if ((flags & RfbSender.FENCE_SYNC_NEXT) != 0) {
            to.postSync(answer);
        } else {
            to.post(answer);
        }
    }

    private void setDesktopSize(RfbSender to) throws IOException, InterruptedException {
        in.read();
        ByteBuffer size = read(4);
        int width = u16(size);
        int height = u16(size);
        int screens = in.read();
        in.read();
        skip(16 * screens);
        Viewer now = attach(to);
        if (!control) {
            to.post(new Order.ResizeRefused(STATUS_PROHIBITED));
            return;
        }
        // As the viewer will do it: it takes the nearest.
        int nearestWidth = Math.clamp(width, Math.min(SIDE_MIN, maximum.width()), maximum.width());
        int nearestHeight = Math.clamp(height, Math.min(SIDE_MIN, maximum.height()), maximum.height());
        to.post(new Order.Resize(nearestWidth, nearestHeight));
        ask(() -> now.resize(nearestWidth, nearestHeight));
    }

    private interface Input {
        void give() throws IOException;
    }

    /** What is typed at a display that is just being lost goes nowhere; that it is lost is told by the other direction. */
    private static void ask(Input input) {
        try {
            input.give();
        } catch (IOException e) {
            // See above.
        }
    }

    private Rectangle area() throws IOException {
        ByteBuffer body = read(8);
        return new Rectangle(u16(body), u16(body), u16(body), u16(body));
    }

    private static int u16(ByteBuffer body) {
        return body.getShort() & 0xffff;
    }

    private ByteBuffer read(int count) throws IOException {
        return ByteBuffer.wrap(readBytes(count));
    }

    private byte[] readBytes(int count) throws IOException {
        byte[] bytes = new byte[count];
        int at = 0;
        while (at < count) {
            int more = in.read(bytes, at, count - at);
            if (more < 0) {
                throw new EOFException("the client ended within a message");
            }
            at += more;
        }
        return bytes;
    }

    private void skip(int count) throws IOException {
        byte[] forgotten = new byte[Math.min(count, 8 << 10)];
        int left = count;
        while (left > 0) {
            int more = in.read(forgotten, 0, Math.min(left, forgotten.length));
            if (more < 0) {
                throw new EOFException("the client ended within a message");
            }
            left -= more;
        }
    }
}
