package dev.satchel.display.rfb;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import javax.crypto.Cipher;
import javax.crypto.spec.SecretKeySpec;
import javax.imageio.ImageIO;

/** A VNC client by the letter of RFC 6143 and rfbproto, of what this server can do. What was never drawn has a colour that no screen has. */
final class RfbClient implements AutoCloseable {
    static final int UNKNOWN = 0xff000000;

    Socket socket;
    DataInputStream in;
    DataOutputStream out;

    int width;
    int height;
    String name = "";
    int[] pixels = new int[0];
    PixelFormat format = PixelFormat.OWN;
    final List<Integer> encodingsSeen = new ArrayList<>();
    final List<String> announced = new ArrayList<>();
    final List<byte[]> cutTexts = new ArrayList<>();
    final List<byte[]> extendedCutTexts = new ArrayList<>();
    final List<byte[]> fences = new ArrayList<>();
    int bells;
    int endsOfContinuousUpdates;
    boolean answersFences = true;
    long drawn;
    byte[] cursor = new byte[0];

    private final Inflater[] tight = {new Inflater(), new Inflater(), new Inflater(), new Inflater()};
    private final Inflater zrle = new Inflater();

    RfbClient(int port) throws IOException {
        socket = new Socket(InetAddress.getLoopbackAddress(), port);
        socket.setSoTimeout(20_000);
        socket.setTcpNoDelay(true);
        streams();
    }

    void streams() throws IOException {
        in = new DataInputStream(new java.io.BufferedInputStream(socket.getInputStream()));
        out = new DataOutputStream(socket.getOutputStream());
    }

    static RfbClient connected(int port, String password) throws Exception {
        RfbClient client = new RfbClient(port);
        client.version();
        client.chooseVncAuthentication();
        client.answer(password);
        if (client.in.readInt() != 0) {
            throw new IOException(client.text());
        }
        client.begin(true);
        return client;
    }

    void version() throws IOException {
        String version = new String(in.readNBytes(12), StandardCharsets.US_ASCII);
        if (!version.equals("RFB 003.008\n")) {
            throw new IOException(version);
        }
        out.writeBytes("RFB 003.008\n");
    }

    List<Integer> securityTypes() throws IOException {
        int count = in.readUnsignedByte();
        if (count == 0) {
            throw new IOException(text());
        }
        List<Integer> types = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            types.add(in.readUnsignedByte());
        }
        return types;
    }

    void chooseVncAuthentication() throws IOException {
        if (!securityTypes().contains(2)) {
            throw new IOException("VNC authentication is not offered");
        }
        out.write(2);
    }

    void answer(String password) throws Exception {
        byte[] challenge = in.readNBytes(16);
        byte[] key = new byte[8];
        for (int i = 0; i < 8 && i < password.length(); i++) {
            for (int bit = 0; bit < 8; bit++) {
                if ((password.charAt(i) & (1 << bit)) != 0) {
                    key[i] |= (byte) (0x80 >> bit);
                }
            }
        }
        Cipher des = Cipher.getInstance("DES/ECB/NoPadding");
        des.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "DES"));
        out.write(des.doFinal(challenge));
    }

    /** To where TLS is to begin. */
    void vencrypt(int subtype) throws IOException {
        out.write(19);
        if (in.readUnsignedShort() != 2) {
            throw new IOException("another version of VeNCrypt");
        }
        out.writeShort(2);
        if (in.readUnsignedByte() != 0) {
            throw new IOException("the version is refused");
        }
        List<Integer> subtypes = new ArrayList<>();
        int count = in.readUnsignedByte();
        for (int i = 0; i < count; i++) {
            subtypes.add(in.readInt());
        }
        if (!subtypes.equals(List.of(262, 261))) {
            throw new IOException("subtypes " + subtypes);
        }
        out.writeInt(subtype);
        if (in.readUnsignedByte() != 1) {
            throw new IOException("the subtype is refused");
        }
    }

    void plain(String user, String password) throws IOException {
        byte[] name = user.getBytes(StandardCharsets.UTF_8);
        byte[] secret = password.getBytes(StandardCharsets.UTF_8);
        out.writeInt(name.length);
        out.writeInt(secret.length);
        out.write(name);
        out.write(secret);
    }

    String text() throws IOException {
        return new String(in.readNBytes(in.readInt()), StandardCharsets.UTF_8);
    }

    void begin(boolean shared) throws IOException {
        out.write(shared ? 1 : 0);
        width = in.readUnsignedShort();
        height = in.readUnsignedShort();
        in.readNBytes(16);
        name = text();
        resized();
    }

    private void resized() {
        pixels = new int[width * height];
        Arrays.fill(pixels, UNKNOWN);
    }

    // ---- What clients say

    void setFormat(PixelFormat wanted) throws IOException {
        out.write(new byte[4]);
        out.write(wanted.bits());
        out.write(wanted.depth());
        out.write(wanted.bigEndian() ? 1 : 0);
        out.write(1);
        out.writeShort(wanted.redMax());
        out.writeShort(wanted.greenMax());
        out.writeShort(wanted.blueMax());
        out.write(wanted.redShift());
        out.write(wanted.greenShift());
        out.write(wanted.blueShift());
        out.write(new byte[3]);
        format = wanted;
    }

    void setEncodings(int... numbers) throws IOException {
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        DataOutputStream data = new DataOutputStream(message);
        data.writeShort(0x0200);
        data.writeShort(numbers.length);
        for (int number : numbers) {
            data.writeInt(number);
        }
        out.write(message.toByteArray());
    }

    void request(boolean incremental, int x, int y, int requestWidth, int requestHeight) throws IOException {
        areaMessage(3, incremental, x, y, requestWidth, requestHeight);
    }

    void request(boolean incremental) throws IOException {
        request(incremental, 0, 0, width, height);
    }

    void continuous(boolean enable) throws IOException {
        areaMessage(150, enable, 0, 0, width, height);
    }

    private void areaMessage(int type, boolean flag, int x, int y, int areaWidth, int areaHeight) throws IOException {
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        DataOutputStream data = new DataOutputStream(message);
        data.write(type);
        data.write(flag ? 1 : 0);
        data.writeShort(x);
        data.writeShort(y);
        data.writeShort(areaWidth);
        data.writeShort(areaHeight);
        out.write(message.toByteArray());
    }

    void key(int keysym, boolean down) throws IOException {
        out.write(4);
        out.write(down ? 1 : 0);
        out.writeShort(0);
        out.writeInt(keysym);
    }

    void cutText(byte[] text) throws IOException {
        out.write(new byte[] {6, 0, 0, 0});
        out.writeInt(text.length);
        out.write(text);
    }

    void extendedCutText(byte[] content) throws IOException {
        out.write(new byte[] {6, 0, 0, 0});
        out.writeInt(-content.length);
        out.write(content);
    }

    void fence(int flags, byte[] payload) throws IOException {
        out.write(new byte[] {(byte) 248, 0, 0, 0});
        out.writeInt(flags);
        out.write(payload.length);
        out.write(payload);
    }

    void setDesktopSize(int newWidth, int newHeight) throws IOException {
        out.write(new byte[] {(byte) 251, 0});
        out.writeShort(newWidth);
        out.writeShort(newHeight);
        out.write(new byte[] {1, 0});
        out.write(new byte[8]);
        out.writeShort(newWidth);
        out.writeShort(newHeight);
        out.writeInt(0);
    }

    // ---- What servers say

    /** Reads a message. @return its type */
    int read() throws IOException {
        int type = in.readUnsignedByte();
        switch (type) {
            case 0 -> {
                in.readUnsignedByte();
                int count = in.readUnsignedShort();
                if (count == 0) {
                    throw new IOException("an update of nothing");
                }
                for (int i = 0; i < count; i++) {
                    rectangle(i == count - 1);
                }
            }
            case 2 -> bells++;
            case 3 -> {
                in.readNBytes(3);
                int length = in.readInt();
                if (length >= 0) {
                    cutTexts.add(in.readNBytes(length));
                } else {
                    extendedCutTexts.add(in.readNBytes(-length));
                }
            }
            case 150 -> endsOfContinuousUpdates++;
            case 248 -> {
                in.readNBytes(3);
                int flags = in.readInt();
                byte[] payload = in.readNBytes(in.readUnsignedByte());
                if ((flags & (1 << 31)) == 0) {
                    fences.add(payload);
                } else if (answersFences) {
                    fence(flags & 7, payload);
                }
            }
            default -> throw new IOException("a message of type " + type);
        }
        return type;
    }

    /** Reads to the end of an update. */
    void readUpdate() throws IOException {
        while (read() != 0) {
            // Something else came before.
        }
    }

    private void rectangle(boolean last) throws IOException {
        int x = in.readUnsignedShort();
        int y = in.readUnsignedShort();
        int w = in.readUnsignedShort();
        int h = in.readUnsignedShort();
        int encoding = in.readInt();
        encodingsSeen.add(encoding);
        switch (encoding) {
            case 0 -> {
                PixelReader reader = plain(in);
                int[] read = new int[w * h];
                for (int i = 0; i < read.length; i++) {
                    read[i] = reader.next();
                }
                draw(x, y, w, h, read);
            }
            case 1 -> {
                int fromX = in.readUnsignedShort();
                int fromY = in.readUnsignedShort();
                int[] copied = new int[w * h];
                for (int row = 0; row < h; row++) {
                    System.arraycopy(pixels, (fromY + row) * width + fromX, copied, row * w, w);
                }
                draw(x, y, w, h, copied);
            }
            case 7 -> draw(x, y, w, h, tight(w, h));
            case 16 -> draw(x, y, w, h, zrle(w, h));
            case -223 -> {
                width = w;
                height = h;
                resized();
                if (!last) {
                    throw new IOException("pixels after a size");
                }
            }
            case -308 -> {
                announced.add("size " + x + " " + y + " " + w + "x" + h);
                int screens = in.readUnsignedByte();
                in.readNBytes(3 + 16 * screens);
                if (w != width || h != height) {
                    width = w;
                    height = h;
                    resized();
                }
                if (!last) {
                    throw new IOException("pixels after a size");
                }
            }
            case -239 -> {
                announced.add("cursor " + w + "x" + h + " at " + x + "," + y);
                cursor = in.readNBytes(w * h * format.bits() / 8 + (w + 7) / 8 * h);
            }
            case -314 -> {
                announced.add("alpha cursor " + w + "x" + h + " at " + x + "," + y);
                if (in.readInt() != 0) {
                    throw new IOException("a cursor that is not raw");
                }
                cursor = in.readNBytes(4 * w * h);
            }
            case -307 -> name = text();
            case -316 -> announced.add("buttons");
            default -> throw new IOException("a rectangle of encoding " + encoding);
        }
    }

    private void draw(int x, int y, int w, int h, int[] colors) throws IOException {
        if (w == 0 || h == 0 || x + w > width || y + h > height) {
            throw new IOException(w + "x" + h + " at " + x + "," + y + " of " + width + "x" + height);
        }
        for (int row = 0; row < h; row++) {
            System.arraycopy(colors, row * w, pixels, (y + row) * width + x, w);
        }
        drawn += (long) w * h;
    }

    /** Reads pixels, as 0x00RRGGBB if they are of eight bits a channel, else as they are. */
    interface PixelReader {
        int next() throws IOException;
    }

    private PixelReader plain(DataInputStream from) {
        return () -> color(number(from, format.bits() / 8, 0));
    }

    private int number(DataInputStream from, int bytes, int shift) throws IOException {
        int number = 0;
        for (int i = 0; i < bytes; i++) {
            int value = from.readUnsignedByte();
            number |= value << (8 * (format.bigEndian() ? bytes - 1 - i : i));
        }
        return number << shift;
    }

    private int color(int number) {
        int red = (number >>> format.redShift()) & format.redMax();
        int green = (number >>> format.greenShift()) & format.greenMax();
        int blue = (number >>> format.blueShift()) & format.blueMax();
        return (red << 16) | (green << 8) | blue;
    }

    private PixelReader tightPixels(DataInputStream from) {
        if (format.bits() == 32 && format.depth() == 24 && format.redMax() == 255) {
            return () -> (from.readUnsignedByte() << 16) | (from.readUnsignedByte() << 8) | from.readUnsignedByte();
        }
        return plain(from);
    }

    private PixelReader compressedPixels(DataInputStream from) {
        if (format.bits() == 32 && format.depth() <= 24) {
            int shift = Math.min(format.redShift(), Math.min(format.greenShift(), format.blueShift())) >= 8 ? 8 : 0;
            return () -> color(number(from, 3, shift));
        }
        return plain(from);
    }

    private int[] tight(int w, int h) throws IOException {
        if (w > 2048) {
            throw new IOException("a Tight rectangle of " + w + " columns");
        }
        int control = in.readUnsignedByte();
        for (int i = 0; i < 4; i++) {
            if ((control & (1 << i)) != 0) {
                tight[i].reset();
            }
        }
        int[] colors = new int[w * h];
        if (control >> 4 == 8) {
            Arrays.fill(colors, tightPixels(in).next());
            return colors;
        }
        if (control >> 4 == 9) {
            var image = ImageIO.read(new ByteArrayInputStream(in.readNBytes(compactLength())));
            image.getRGB(0, 0, w, h, colors, 0, w);
            for (int i = 0; i < colors.length; i++) {
                colors[i] &= 0xffffff;
            }
            announced.add("jpeg");
            return colors;
        }
        if ((control & 0x80) != 0) {
            throw new IOException("Tight control " + control);
        }
        Inflater stream = tight[(control >> 4) & 3];
        int filter = (control & 0x40) != 0 ? in.readUnsignedByte() : 0;
        int bytesPerPixel =
                format.bits() == 32 && format.depth() == 24 && format.redMax() == 255 ? 3 : format.bits() / 8;
        if (filter == 0) {
            DataInputStream data = tightData(stream, w * h * bytesPerPixel);
            PixelReader reader = tightPixels(data);
            for (int i = 0; i < colors.length; i++) {
                colors[i] = reader.next();
            }
            return colors;
        }
        if (filter != 1) {
            throw new IOException("Tight filter " + filter);
        }
        int[] palette = new int[in.readUnsignedByte() + 1];
        PixelReader reader = tightPixels(in);
        for (int i = 0; i < palette.length; i++) {
            palette[i] = reader.next();
        }
        if (palette.length == 2) {
            int stride = (w + 7) / 8;
            byte[] bits = tightData(stream, stride * h).readAllBytes();
            for (int i = 0; i < colors.length; i++) {
                colors[i] = palette[(bits[i / w * stride + i % w / 8] >> (7 - i % w % 8)) & 1];
            }
        } else {
            byte[] numbers = tightData(stream, w * h).readAllBytes();
            for (int i = 0; i < colors.length; i++) {
                colors[i] = palette[numbers[i] & 0xff];
            }
        }
        return colors;
    }

    private int compactLength() throws IOException {
        int first = in.readUnsignedByte();
        int length = first & 0x7f;
        if ((first & 0x80) != 0) {
            int second = in.readUnsignedByte();
            length |= (second & 0x7f) << 7;
            if ((second & 0x80) != 0) {
                length |= in.readUnsignedByte() << 14;
            }
        }
        return length;
    }

    private DataInputStream tightData(Inflater stream, int length) throws IOException {
        byte[] data = length < 12 ? in.readNBytes(length) : inflate(stream, in.readNBytes(compactLength()), length);
        if (data.length != length) {
            throw new EOFException();
        }
        return new DataInputStream(new ByteArrayInputStream(data));
    }

    private static byte[] inflate(Inflater stream, byte[] compressed, int lengthMax) throws IOException {
        byte[] data = new byte[lengthMax];
        stream.setInput(compressed);
        int length = 0;
        try {
            while (length < lengthMax) {
                int count = stream.inflate(data, length, lengthMax - length);
                if (count == 0) {
                    break;
                }
                length += count;
            }
            if (stream.inflate(new byte[1]) != 0 || stream.getRemaining() != 0) {
                throw new IOException("more than what belongs there");
            }
        } catch (DataFormatException e) {
            throw new IOException(e);
        }
        return Arrays.copyOf(data, length);
    }

    private int[] zrle(int w, int h) throws IOException {
        byte[] compressed = in.readNBytes(in.readInt());
        DataInputStream data =
                new DataInputStream(new ByteArrayInputStream(inflate(zrle, compressed, w * h * 4 + 1024 + w * h / 2)));
        PixelReader reader = compressedPixels(data);
        int[] colors = new int[w * h];
        for (int y = 0; y < h; y += 64) {
            for (int x = 0; x < w; x += 64) {
                tile(data, reader, colors, y * w + x, w, Math.min(64, w - x), Math.min(64, h - y));
            }
        }
        if (data.read() >= 0) {
            throw new IOException("more than the tiles");
        }
        return colors;
    }

    private static void tile(DataInputStream data, PixelReader reader, int[] colors, int from, int stride, int w, int h)
            throws IOException {
        int kind = data.readUnsignedByte();
        int[] palette = new int[kind & 0x7f];
        for (int i = 0; i < palette.length; i++) {
            palette[i] = reader.next();
        }
        int[] tile = new int[w * h];
        if (kind == 0) {
            for (int i = 0; i < tile.length; i++) {
                tile[i] = reader.next();
            }
        } else if (kind == 1) {
            Arrays.fill(tile, palette[0]);
        } else if (kind <= 16) {
            int bits = kind == 2 ? 1 : kind <= 4 ? 2 : 4;
            for (int y = 0; y < h; y++) {
                int read = 0;
                int left = 0;
                for (int x = 0; x < w; x++) {
                    if (left == 0) {
                        read = data.readUnsignedByte();
                        left = 8;
                    }
                    left -= bits;
                    tile[y * w + x] = palette[(read >> left) & ((1 << bits) - 1)];
                }
            }
        } else if (kind >= 130) {
            for (int i = 0; i < tile.length; ) {
                int number = data.readUnsignedByte();
                int run = 1;
                if ((number & 0x80) != 0) {
                    int more;
                    do {
                        more = data.readUnsignedByte();
                        run += more;
                    } while (more == 255);
                }
                Arrays.fill(tile, i, i + run, palette[number & 0x7f]);
                i += run;
            }
        } else {
            throw new IOException("a tile of kind " + kind);
        }
        for (int y = 0; y < h; y++) {
            System.arraycopy(tile, y * w, colors, from + y * stride, w);
        }
    }

    @Override
    public void close() throws IOException {
        socket.close();
        for (Inflater stream : tight) {
            stream.end();
        }
        zrle.end();
    }
}
