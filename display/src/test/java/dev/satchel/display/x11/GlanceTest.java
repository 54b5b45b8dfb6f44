package dev.satchel.display.x11;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** With a real Xvfb. */
@Timeout(60)
class GlanceTest {
    private static final int PROP_MODE_REPLACE = 0;

    private static void set(X11Connection client, int window, int property, int type, int format, byte[] bytes)
            throws IOException {
        // ChangeProperty.
        client.send(new Request(18, PROP_MODE_REPLACE)
                .u32(window)
                .u32(property)
                .u32(type)
                .u8(format)
                .u8(0)
                .u8(0)
                .u8(0)
                .u32(bytes.length * 8 / format)
                .bytes(bytes, 0, bytes.length));
    }

    private static byte[] bytes(int... numbers) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * numbers.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(numbers);
        return bytes.array();
    }

    private static int window(X11Connection client, int x, int y, int width, int height, int color) throws IOException {
        int id = client.newId();
        client.send(
                // CreateWindow with a background; MapWindow.
                new Request(1, 0)
                        .u32(id)
                        .u32(client.rootWindow())
                        .u16(x)
                        .u16(y)
                        .u16(width)
                        .u16(height)
                        .u16(0)
                        .u16(1)
                        .u32(0)
                        .u32(1 << 1)
                        .u32(color),
                new Request(8, 0).u32(id));
        return id;
    }

    @Test
    void showsTheScreenSmallAndNamesItsWindows() throws Exception {
        try (XServer server = new XServer(800, 600);
                X11Connection client = server.connect()) {
            int left = window(client, 0, 0, 400, 600, 0xff8040);
            int right = window(client, 400, 0, 400, 600, 0x102030);
            set(
                    client,
                    left,
                    client.atom("_NET_WM_NAME"),
                    client.atom("UTF8_STRING"),
                    8,
                    "Brief – äß\n€".getBytes(StandardCharsets.UTF_8));
            set(client, right, 39, 31, 8, "caf\u00e9".getBytes(StandardCharsets.ISO_8859_1));
            int panel = window(client, 0, 590, 800, 10, 0x102030);
            set(client, panel, 39, 31, 8, "panel".getBytes(StandardCharsets.ISO_8859_1));
            set(
                    client,
                    panel,
                    client.atom("_NET_WM_WINDOW_TYPE"),
                    4,
                    32,
                    bytes(client.atom("_NET_WM_WINDOW_TYPE_DOCK")));
            set(
                    client,
                    right,
                    client.atom("_NET_WM_WINDOW_TYPE"),
                    4,
                    32,
                    bytes(client.atom("_NET_WM_WINDOW_TYPE_NORMAL")));
            set(
                    client,
                    client.rootWindow(),
                    client.atom("_NET_CLIENT_LIST"),
                    33,
                    32,
                    bytes(panel, left, 0x7654321, right));
            // All of it has been done once this is answered.
            assertThat(client.atom("_NET_WM_NAME")).isNotZero();

            Glance glance = server.glance(320, 200);
            assertThat(glance.width()).isEqualTo(266);
            assertThat(glance.height()).isEqualTo(200);
            assertThat(glance.titles()).containsExactly("Brief – äß €", "café");
            assertThat(glance.pixels()[50 * 266 + 20]).isEqualTo(0xff8040);
            assertThat(glance.pixels()[190 * 266 + 250]).isEqualTo(0x102030);
        }
    }

    @Test
    void aScreenWithoutWindowManagerHasNoTitles() throws Exception {
        try (XServer server = new XServer(100, 50)) {
            Glance glance = server.glance(320, 200);
            assertThat(glance.titles()).isEmpty();
            assertThat(glance.width()).isEqualTo(100);
            assertThat(glance.height()).isEqualTo(50);
        }
    }

    @Test
    void withoutAServerThereIsNone() throws Exception {
        XServer gone;
        try (XServer server = new XServer(100, 50)) {
            gone = server;
            assertThat(server.pid()).isPositive();
        }
        assertThatThrownBy(() -> gone.glance(320, 200)).isInstanceOf(IOException.class);
    }
}
