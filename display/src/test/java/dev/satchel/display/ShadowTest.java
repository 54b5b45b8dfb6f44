package dev.satchel.display;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.display.Shadow.Changes;
import dev.satchel.display.Shadow.Move;
import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is found of what became of a screen, by pixels. */
class ShadowTest {
    private static final int WIDTH = 400;
    private static final int HEIGHT = 300;
    private static final Rectangle BOUNDS = new Rectangle(0, 0, WIDTH, HEIGHT);

    private MemoryScreen screen = new MemoryScreen(WIDTH, HEIGHT, new Silent());
    private Shadow shadow = new Shadow(BOUNDS);

    /** Small spots of all colours, everywhere. */
    private void write(long seed) throws IOException {
        screen = new MemoryScreen(WIDTH, HEIGHT, new Silent());
        shadow = new Shadow(BOUNDS);
        Random random = new Random(seed);
        screen.fill(BOUNDS, 0xffffff);
        for (int i = 0; i < 900; i++) {
            int x = random.nextInt(WIDTH - 8);
            int y = random.nextInt(HEIGHT - 10);
            screen.fill(new Rectangle(x, y, 1 + random.nextInt(7), 1 + random.nextInt(9)), random.nextInt(1 << 24));
        }
        shadow.read(screen);
        Region ignored = screen.takeDamage();
    }

    private Changes update(Region drawn) throws IOException {
        return shadow.update(screen, drawn, Region.EMPTY);
    }

    @ParameterizedTest
    @CsvSource({"0,-13", "0,40", "0,-250", "25,0", "-9,0", "-120,0", "7,-5", "-30,41", "3,3"})
    void whatMovesIsFoundWhereverItGoes(int dx, int dy) throws IOException {
        write(1);
        screen.move(BOUNDS, dx, dy);
        Changes changes = update(Region.of(BOUNDS));
        assertThat(changes.moves()).singleElement().satisfies(move -> {
            assertThat(new int[] {move.dx(), move.dy()}).containsExactly(dx, dy);
            // All that came from within, but for some pixels.
            Region came = Region.of(BOUNDS.intersect(BOUNDS.translate(dx, dy)));
            assertThat(came.subtract(Region.of(move.to())).area()).isLessThan(came.area() / 20);
        });
    }

    /** As a page scrolls under what stays where it is. */
    @Test
    void whatStaysDoesNotHideWhatMoves() throws IOException {
        write(2);
        Rectangle page = new Rectangle(0, 60, WIDTH - 12, HEIGHT - 60);
        screen.move(new Rectangle(0, 80, WIDTH - 12, HEIGHT - 80), 0, -20);
        Changes changes = update(Region.of(BOUNDS));
        assertThat(changes.moves()).singleElement().satisfies(move -> {
            assertThat(move.dy()).isEqualTo(-20);
            assertThat(Region.of(move.to()).bounds().intersect(page))
                    .isEqualTo(Region.of(move.to()).bounds());
        });
    }

    /** What was there, with all moves done and what changed besides drawn, is what is there; and nothing is told that stayed. */
    @Property(tries = 200)
    void changesMakeTheNewScreenOfTheOldOne(@ForAll long seed, @ForAll @IntRange(min = 1, max = 6) int steps)
            throws IOException {
        write(seed);
        int[] copy = shadow.copy(BOUNDS);
        int[] before = copy.clone();
        Random random = new Random(~seed);
        for (int i = 0; i < steps; i++) {
            Rectangle area = new Rectangle(
                    random.nextInt(WIDTH / 2),
                    random.nextInt(HEIGHT / 2),
                    1 + random.nextInt(WIDTH / 2),
                    1 + random.nextInt(HEIGHT / 2));
            switch (random.nextInt(4)) {
                case 0 -> screen.fill(area, random.nextInt(1 << 24));
                case 1 -> screen.move(area, 0, random.nextInt(-40, 40));
                case 2 -> screen.move(area, random.nextInt(-40, 40), 0);
                default -> screen.move(area, random.nextInt(-40, 40), random.nextInt(-40, 40));
            }
        }
        Changes changes = update(screen.takeDamage());
        for (Move move : changes.moves()) {
            for (Rectangle to : move.to()) {
                int[] moved = new int[to.width() * to.height()];
                for (int y = 0; y < to.height(); y++) {
                    System.arraycopy(
                            copy,
                            (to.y() + y - move.dy()) * WIDTH + to.x() - move.dx(),
                            moved,
                            y * to.width(),
                            to.width());
                }
                for (int y = 0; y < to.height(); y++) {
                    System.arraycopy(moved, y * to.width(), copy, (to.y() + y) * WIDTH + to.x(), to.width());
                }
            }
        }
        int[] now = screen.pixels();
        for (Rectangle part : changes.changed().rectangles()) {
            for (int y = part.y(); y < part.bottom(); y++) {
                System.arraycopy(now, y * WIDTH + part.x(), copy, y * WIDTH + part.x(), part.width());
            }
        }
        assertThat(copy).isEqualTo(now);
        assertThat(shadow.copy(BOUNDS)).isEqualTo(now);
        if (Arrays.equals(before, now)) {
            assertThat(changes.moves()).isEmpty();
            assertThat(changes.changed().isEmpty()).isTrue();
        }
    }

    /** A change is told by the smallest rectangle of its tile. */
    @Property(tries = 300)
    void changesAreTrimmed(
            @ForAll @IntRange(min = 0, max = 63) int x,
            @ForAll @IntRange(min = 0, max = 15) int y,
            @ForAll @IntRange(min = 0, max = 63) int x2,
            @ForAll @IntRange(min = 0, max = 15) int y2)
            throws IOException {
        write(3);
        screen.fill(new Rectangle(64 + x, 32 + y, 1, 1), 0x123456);
        screen.fill(new Rectangle(64 + x2, 32 + y2, 1, 1), 0x123456);
        Rectangle both = new Rectangle(64 + x, 32 + y, 1, 1).union(new Rectangle(64 + x2, 32 + y2, 1, 1));
        assertThat(update(Region.of(BOUNDS)).changed().rectangles()).containsExactly(both);
    }
}
