package dev.satchel.display;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class ScreenDisplayTest {
    private static final int WIDTH = 320;
    private static final int HEIGHT = 200;
    private static final Viewer.Options ALL = new Viewer.Options(true, false);

    private final List<MemoryScreen> screens = new ArrayList<>();

    private ScreenDisplay display() {
        return new ScreenDisplay(
                listener -> {
                    MemoryScreen opened = new MemoryScreen(WIDTH, HEIGHT, listener);
                    screens.add(opened);
                    return opened;
                },
                Command.Pixels::new);
    }

    private MemoryScreen screen() {
        return screens.getLast();
    }

    /** Takes all there is, until nothing more comes. */
    private static List<Command> drain(Viewer viewer, CommandPlayer player, long bytesMax) throws InterruptedException {
        List<Command> all = new ArrayList<>();
        while (true) {
            Viewer.Update update = viewer.take(bytesMax, 40);
            update.size().ifPresent(player::resize);
            update.commands().forEach(player::play);
            all.addAll(update.commands());
            if (update.commands().isEmpty()
                    && update.size().isEmpty()
                    && update.cursor().isEmpty()) {
                return all;
            }
        }
    }

    /** Takes until the viewer has what the screen shows, however long it takes the display to see it. */
    private List<Command> catchUp(Viewer viewer, CommandPlayer player) throws InterruptedException {
        List<Command> all = new ArrayList<>();
        do {
            Viewer.Update update = viewer.take(1 << 20, 1000);
            update.size().ifPresent(player::resize);
            update.commands().forEach(player::play);
            all.addAll(update.commands());
        } while (!Arrays.equals(player.pixels(), screen().pixels()));
        return all;
    }

    /** As {@link #drain}, however long it takes the display to see what was drawn last. */
    private void drainAll(Viewer viewer, CommandPlayer player, long bytesMax) throws InterruptedException {
        for (int tries = 0; tries == 0 || !Arrays.equals(player.pixels(), screen().pixels()); tries++) {
            assertThat(tries).isLessThan(500);
            drain(viewer, player, bytesMax);
        }
    }

    @Test
    void whoOnlyTypesLooksAtNothing() throws Exception {
        try (ScreenDisplay display = display()) {
            display.withScreen(screen -> {
                screen.key(0x61, true);
                return true;
            });
            screen().noise(new Rectangle(0, 0, WIDTH, HEIGHT), 1);
            assertThat(display.bounds()).isEqualTo(new Rectangle(0, 0, WIDTH, HEIGHT));
            assertThat(screen().reads()).isZero();
            // Who comes then sees what there is.
            try (Viewer viewer = display.attach(ALL)) {
                CommandPlayer copy = new CommandPlayer();
                screen().fill(new Rectangle(10, 10, 50, 50), 0x123456);
                List<Command> ignored = catchUp(viewer, copy);
            }
            assertThat(screens).hasSize(1);
        }
    }

    /** Whatever is drawn and moved, and however little a viewer takes meanwhile: in the end it has the screen's pixels. */
    @Property(tries = 60)
    void viewersEndWithTheScreensPixels(@ForAll long seed) throws Exception {
        Random random = new Random(seed);
        try (ScreenDisplay display = display();
                Viewer fast = display.attach(ALL);
                Viewer slow = display.attach(ALL);
                Viewer lossy = display.attach(new Viewer.Options(false, true))) {
            CommandPlayer fastCopy = new CommandPlayer();
            CommandPlayer slowCopy = new CommandPlayer();
            CommandPlayer lossyCopy = new CommandPlayer();
            screen().noise(new Rectangle(0, 0, WIDTH, HEIGHT), seed);
            for (int step = 0; step < 25; step++) {
                paint(random);
                take(fast, fastCopy, 1 << 20);
                if (random.nextInt(3) == 0) {
                    take(slow, slowCopy, 1 + random.nextInt(20_000));
                }
                if (random.nextInt(2) == 0) {
                    take(lossy, lossyCopy, 1 + random.nextInt(60_000));
                }
            }
            drainAll(fast, fastCopy, 1 << 20);
            drainAll(slow, slowCopy, 5000);
            TimeUnit.MILLISECONDS.sleep(10);
            drain(lossy, lossyCopy, 1 << 20);
            assertThat(fastCopy.pixels()).isEqualTo(screen().pixels());
            assertThat(slowCopy.pixels()).isEqualTo(screen().pixels());
            List<Command> rest = new ArrayList<>();
            while (!java.util.Arrays.equals(lossyCopy.pixels(), screen().pixels())) {
                rest.addAll(drain(lossy, lossyCopy, 1 << 20));
                assertThat(rest).hasSizeLessThan(1000);
            }
        }
    }

    private static void take(Viewer viewer, CommandPlayer copy, long bytesMax) throws InterruptedException {
        Viewer.Update update = viewer.take(bytesMax, 6);
        update.size().ifPresent(copy::resize);
        update.commands().forEach(copy::play);
    }

    private void paint(Random random) {
        Rectangle bounds = screen().bounds();
        Rectangle area = new Rectangle(
                random.nextInt(bounds.width()),
                random.nextInt(bounds.height()),
                1 + random.nextInt(bounds.width()),
                1 + random.nextInt(bounds.height()));
        switch (random.nextInt(6)) {
            case 0 -> screen().fill(area, random.nextInt(1 << 24));
            case 1 -> screen().noise(area.intersect(bounds), random.nextLong());
            case 2, 3 -> screen().move(area.intersect(bounds), 0, random.nextInt(-40, 40));
            case 4 -> screen().move(area.intersect(bounds), random.nextInt(-40, 40), random.nextInt(-40, 40));
            default -> {
                if (random.nextInt(8) == 0) {
                    screen().resize(64 + random.nextInt(WIDTH), 64 + random.nextInt(HEIGHT));
                } else {
                    screen().fill(area.intersect(new Rectangle(area.x(), area.y(), 12, 9)), random.nextInt(1 << 24));
                }
            }
        }
    }

    @Test
    void aFilmIsOneOnASlowLinkAsWell() throws Exception {
        try (ScreenDisplay display = display();
                Viewer slow = display.attach(new Viewer.Options(false, true))) {
            AtomicBoolean ends = new AtomicBoolean();
            Thread film = Thread.ofPlatform().start(() -> {
                for (long frame = 0; !ends.get(); frame++) {
                    screen().noise(new Rectangle(20, 20, 200, 100), frame);
                    LockSupport.parkNanos(40_000_000);
                }
            });
            boolean found = false;
            for (int i = 0; i < 60 && !found; i++) {
                // Longer than what changes has a pause if it is no film.
                TimeUnit.MILLISECONDS.sleep(250);
                for (Command command : slow.take(1 << 20, 1000).commands()) {
                    found |= command instanceof Command.Video;
                }
            }
            ends.set(true);
            film.join();
            assertThat(found).isTrue();
        }
    }

    @Test
    void scrolledTextIsCopied() throws Exception {
        try (ScreenDisplay display = display();
                Viewer viewer = display.attach(ALL)) {
            CommandPlayer copy = new CommandPlayer();
            Rectangle text = new Rectangle(10, 10, 300, 180);
            screen().noise(text, 1);
            List<Command> ignored = catchUp(viewer, copy);
            screen().move(new Rectangle(10, 23, 300, 167), 0, -13);
            screen().noise(new Rectangle(10, 177, 300, 13), 2);
            List<Command> commands = catchUp(viewer, copy);
            assertThat(copy.pixels()).isEqualTo(screen().pixels());
            assertThat(commands.getFirst()).isEqualTo(new Command.Copy(new Rectangle(10, 10, 300, 167), 10, 23));
            assertThat(pixels(commands)).isLessThanOrEqualTo(300 * 16);
        }
    }

    /** Over itself, in each direction. */
    @Test
    void aMovedWindowIsCopied() throws Exception {
        int[][] ways = {{7, 0}, {-7, 0}, {0, 9}, {0, -9}, {11, 5}, {-11, 5}, {11, -5}, {-11, -5}, {60, 40}};
        for (int[] way : ways) {
            try (ScreenDisplay display = display();
                    Viewer viewer = display.attach(ALL)) {
                CommandPlayer copy = new CommandPlayer();
                Rectangle window = new Rectangle(100, 60, 120, 80);
                screen().noise(window, 3);
                List<Command> ignored = catchUp(viewer, copy);
                int[] before = screen().pixels();
                screen().draw(window.union(window.translate(way[0], way[1])), (x, y) -> {
                    int fromX = x - way[0];
                    int fromY = y - way[1];
                    return window.contains(fromX, fromY) ? before[fromY * WIDTH + fromX] : 0x223344;
                });
                List<Command> commands = catchUp(viewer, copy);
                assertThat(copy.pixels()).isEqualTo(screen().pixels());
                assertThat(commands.getFirst())
                        .as("moved by %d, %d", way[0], way[1])
                        .isInstanceOf(Command.Copy.class);
                long exposed = window.union(window.translate(way[0], way[1])).area() - window.area();
                assertThat(pixels(commands)).isLessThanOrEqualTo(exposed + 64 * 16);
            }
        }
    }

    /** Of all but copies. */
    private static long pixels(List<Command> commands) {
        long pixels = 0;
        for (Command command : commands) {
            pixels += command instanceof Command.Copy ? 0 : command.area().area();
        }
        return pixels;
    }

    @Test
    void whatIsOverwrittenIsNotSent() throws Exception {
        try (ScreenDisplay display = display();
                Viewer viewer = display.attach(ALL);
                Viewer other = display.attach(ALL)) {
            CommandPlayer copy = new CommandPlayer();
            CommandPlayer others = new CommandPlayer();
            drain(viewer, copy, 1 << 20);
            for (int i = 0; i < 50; i++) {
                screen().noise(new Rectangle(0, 0, 100, 100), i);
                List<Command> ignored = catchUp(other, others);
            }
            List<Command> commands = drain(viewer, copy, 1 << 20);
            assertThat(pixels(commands)).isEqualTo(100 * 100);
            assertThat(copy.pixels()).isEqualTo(screen().pixels());
        }
    }

    @Test
    void theSmallestComesFirst() throws Exception {
        try (ScreenDisplay display = display();
                Viewer viewer = display.attach(ALL)) {
            CommandPlayer copy = new CommandPlayer();
            drain(viewer, copy, 1 << 20);
            screen().noise(new Rectangle(0, 0, 200, 150), 1);
            screen().noise(new Rectangle(300, 180, 8, 12), 2);
            Viewer.Update update = viewer.take(100, 1000);
            assertThat(update.commands()).hasSize(1);
            assertThat(update.commands().getFirst().area()).isEqualTo(new Rectangle(300, 180, 8, 12));
        }
    }

    /** On a slow link: what was taken before is still on its way. */
    @Test
    void aMovingPictureIsKnownBeforeItsNextFrameIsTaken() throws Exception {
        try (ScreenDisplay display = display();
                Viewer viewer = display.attach(new Viewer.Options(true, true))) {
            drain(viewer, new CommandPlayer(), 1 << 20);
            Rectangle picture = new Rectangle(0, 0, 128, 128);
            boolean video = false;
            // By what is taken alone it would take three.
            for (int frames = 0; frames < 2 && !video; frames++) {
                playUntilNobodyLooks(picture);
                List<Command> commands = viewer.take(1 << 20, 1000).commands();
                video = commands.stream().anyMatch(command -> command instanceof Command.Video);
            }
            assertThat(video).isTrue();
        }
    }

    /** A viewer that takes nothing costs nothing, after a while. */
    private void playUntilNobodyLooks(Rectangle picture) throws InterruptedException {
        int reads = screen().reads();
        int same = 0;
        for (int frame = 0; same < 25; frame++) {
            assertThat(frame).isLessThan(1000);
            screen().noise(picture, frame);
            TimeUnit.MILLISECONDS.sleep(20);
            same = reads == screen().reads() ? same + 1 : 0;
            reads = screen().reads();
        }
    }

    @Test
    void aMovingPictureBecomesExactWhenItRests() throws Exception {
        try (ScreenDisplay display = display();
                Viewer viewer = display.attach(new Viewer.Options(true, true))) {
            CommandPlayer copy = new CommandPlayer();
            drain(viewer, copy, 1 << 20);
            boolean video = false;
            Rectangle picture = new Rectangle(32, 32, 160, 128);
            for (int i = 0; !video; i++) {
                assertThat(i).isLessThan(200);
                screen().noise(picture, i);
                Viewer.Update update = viewer.take(1 << 20, 1000);
                update.commands().forEach(copy::play);
                video = update.commands().getLast() instanceof Command.Video;
                TimeUnit.MILLISECONDS.sleep(15);
            }
            while (!java.util.Arrays.equals(copy.pixels(), screen().pixels())) {
                viewer.take(1 << 20, 1000).commands().forEach(copy::play);
            }
            assertThat(drain(viewer, copy, 1 << 20)).isEmpty();
        }
    }

    @Test
    void theScreenIsHeldOnlyWhileSomebodyLooks() throws Exception {
        try (ScreenDisplay display = display()) {
            assertThat(screens).isEmpty();
            Viewer viewer = display.attach(ALL);
            assertThat(screen().isClosed()).isFalse();
            CommandPlayer copy = new CommandPlayer();
            drain(viewer, copy, 1 << 20);

            display.letGo();
            assertThat(screen().isClosed()).isTrue();
            assertThat(drain(viewer, copy, 1 << 20)).isEmpty();
            viewer.key('a', true);
            assertThat(screen().input()).isEmpty();

            display.takeHold();
            assertThat(screens).hasSize(2);
            screen().noise(new Rectangle(0, 0, WIDTH, HEIGHT), 4);
            drainAll(viewer, copy, 1 << 20);
            assertThat(copy.pixels()).isEqualTo(screen().pixels());

            viewer.close();
            assertThat(screen().isClosed()).isTrue();
        }
    }

    @Test
    void aScreenThatIsUsedIsHeldForAMomentOnly() throws Exception {
        try (ScreenDisplay display = display()) {
            assertThat(display.bounds()).isEqualTo(new Rectangle(0, 0, WIDTH, HEIGHT));
            assertThat(display.maximum()).isEqualTo(new Rectangle(0, 0, 2 * WIDTH, 2 * HEIGHT));
            assertThat(screens).hasSize(1);
            while (!screen().isClosed()) {
                TimeUnit.MILLISECONDS.sleep(10);
            }
            display.letGo();
            assertThatThrownBy(display::bounds).hasMessageContaining("stands still");
        }
    }

    @Test
    void whoUsesTheScreenWaitsUntilItIsThereAgain() throws Exception {
        try (ExecutorService executor = Executors.newSingleThreadExecutor()) {
            Future<?> waits;
            try (ScreenDisplay display = display()) {
                display.letGo();
                Future<Rectangle> bounds = executor.submit(() -> display.withScreen(Screen::bounds));
                assertThatThrownBy(() -> bounds.get(200, TimeUnit.MILLISECONDS)).isInstanceOf(TimeoutException.class);
                display.takeHold();
                assertThat(bounds.get()).isEqualTo(new Rectangle(0, 0, WIDTH, HEIGHT));

                display.letGo();
                waits = executor.submit(() -> {
                    display.await();
                    return true;
                });
                assertThatThrownBy(() -> waits.get(200, TimeUnit.MILLISECONDS)).isInstanceOf(TimeoutException.class);
            }
            assertThatThrownBy(waits::get).hasMessageContaining("the session's display has ended");
        }
    }

    @Test
    void whoLeavesLetsGoOfItsKeys() throws Exception {
        try (ScreenDisplay display = display();
                Viewer stays = display.attach(ALL)) {
            Viewer viewer = display.attach(ALL);
            viewer.key(0xffe1, true);
            viewer.key('A', true);
            viewer.key('A', false);
            viewer.key('B', false);
            viewer.pointer(5000, -3, 1);
            viewer.close();
            assertThat(screen().input())
                    .containsExactly(
                            "press ffe1",
                            "press 41",
                            "release 41",
                            "pointer 319 0 1",
                            "release ffe1",
                            "pointer 319 0 0");
            stays.key('c', true);
            assertThat(screen().input()).endsWith("press 63");
        }
    }

    /** Another takes control just when a key is on its way to the screen. */
    @Test
    void aKeyIsNotPressedOnceItsViewerHasLostControl() throws Exception {
        try (ScreenDisplay display = display();
                Viewer one = display.attach(ALL);
                Viewer other = display.attach(ALL)) {
            Thread taking = new Thread(() -> other.controlAlone(true));
            screen().beforeKeys(() -> {
                screen().beforeKeys(() -> {});
                taking.start();
                // It has released all, or waits until it may.
                while (!display.isControlledByOne()
                        || (taking.getState() != Thread.State.TERMINATED
                                && taking.getState() != Thread.State.WAITING)) {
                    Thread.onSpinWait();
                }
            });
            one.key('A', true);
            taking.join();
            assertThat(screen().input()).containsExactly("press 41", "release 41");
        }
    }

    @Test
    void theBellIsToldNotAsOftenAsAProgramRingsIt() throws Exception {
        try (ScreenDisplay display = display();
                Viewer viewer = display.attach(new Viewer.Options(false, false))) {
            int told = 0;
            for (int i = 0; i < 10_000; i++) {
                screen().ring();
                told += viewer.take(0, 0).bell() ? 1 : 0;
            }
            assertThat(told).isBetween(1, 1_000);
        }
    }

    @Test
    void whoMayOnlyLookChangesNothing() throws Exception {
        try (ScreenDisplay display = display();
                Viewer works = display.attach(ALL)) {
            Viewer looks = display.attach(new Viewer.Options(false, false));
            looks.key('a', true);
            looks.pointer(1, 1, 1);
            looks.resize(100, 100);
            looks.setClipboard("x");
            looks.close();
            assertThat(screen().input()).isEmpty();
            assertThat(screen().bounds()).isEqualTo(new Rectangle(0, 0, WIDTH, HEIGHT));
            screen().offerClipboard("secret");
            assertThat(clipboard(works)).isEqualTo("secret");
        }
    }

    @Test
    void whatOneHasReadyToBePastedTheOthersHear() throws Exception {
        try (ScreenDisplay display = display();
                Viewer one = display.attach(ALL);
                Viewer other = display.attach(ALL);
                Viewer looks = display.attach(new Viewer.Options(false, false))) {
            one.setClipboard("from one");
            assertThat(clipboard(other)).isEqualTo("from one");
            other.setClipboard("from the other");
            // Not its own words first.
            assertThat(clipboard(one)).isEqualTo("from the other");
            Viewer.Update update = looks.take(1 << 20, 5000);
            while (!update.commands().isEmpty()) {
                assertThat(update.clipboard()).isEmpty();
                update = looks.take(1 << 20, 300);
            }
            assertThat(update.clipboard()).isEmpty();
        }
    }

    @Test
    void aTextThatWasReadBeforeAViewerGaveAnotherIsHeardByNobody() throws Exception {
        try (ScreenDisplay display = display();
                Viewer one = display.attach(ALL);
                Viewer other = display.attach(ALL)) {
            CompletableFuture<Void> given = new CompletableFuture<>();
            screen().afterClipboard(() -> {
                try {
                    other.setClipboard("from the other");
                    given.complete(null);
                } catch (IOException e) {
                    given.completeExceptionally(e);
                }
            });
            one.setClipboard("from one");
            given.join();
            assertThat(clipboard(one)).isEqualTo("from the other");
            Viewer.Update update;
            do {
                update = other.take(1 << 20, 1000);
                assertThat(update.clipboard()).isEmpty();
            } while (!update.commands().isEmpty());
        }
    }

    /** Whoever wants the screen waits for some characters at most, not for all. */
    @Test
    void whoTypesWithoutEndHoldsUpNobody() throws Exception {
        try (ScreenDisplay display = display()) {
            Thread letsGo = Thread.ofPlatform().unstarted(display::letGo);
            assertThat(display.<Boolean>withScreen(_ -> true)).isTrue();
            // It comes while the first characters are typed.
            screen().beforeKeys(() -> {
                if (letsGo.getState() == Thread.State.NEW) {
                    letsGo.start();
                }
                while (letsGo.isAlive() && letsGo.getState() != Thread.State.WAITING) {
                    Thread.onSpinWait();
                }
            });
            CompletableFuture<Void> typed = CompletableFuture.runAsync(() -> {
                try {
                    display.type("x".repeat(1000));
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
            while (letsGo.getState() == Thread.State.NEW) {
                Thread.onSpinWait();
            }
            letsGo.join();
            assertThat(screens.getFirst().input()).hasSize(2 * 64);
            display.takeHold();
            typed.join();
            assertThat(screens).hasSize(2);
            assertThat(screens.getLast().input()).hasSize(2 * (1000 - 64));
        }
    }

    @Test
    void whoComesHearsWhatIsOffered() throws Exception {
        try (ScreenDisplay display = display();
                Viewer one = display.attach(ALL)) {
            screen().offerClipboard("copied");
            assertThat(clipboard(one)).isEqualTo("copied");
            try (Viewer other = display.attach(ALL);
                    Viewer looks = display.attach(new Viewer.Options(false, false))) {
                assertThat(other.take(0, 5000).clipboard()).contains(new Viewer.Copied("copied", true));
                assertThat(looks.take(0, 5000).clipboard()).isEmpty();
            }
            // A picture, which is no text.
            screen().offerClipboard("");
            screen().offerClipboard("more");
            assertThat(clipboard(one)).isEqualTo("more");
        }
    }

    private static String clipboard(Viewer viewer) throws Exception {
        Viewer.Update update = viewer.take(0, 5000);
        while (update.clipboard().isEmpty()) {
            update = viewer.take(0, 5000);
        }
        return update.clipboard().get().text();
    }

    @Test
    void aScreenThatEndsEndsItsViewers() throws Exception {
        try (ScreenDisplay display = display();
                Viewer viewer = display.attach(ALL)) {
            drain(viewer, new CommandPlayer(), 1 << 20);
            screen().end();
            assertThat(viewer.take(1, 5000).ended()).isPresent();
            try (Viewer next = display.attach(ALL)) {
                assertThat(screens).hasSize(2);
                assertThat(next.take(1 << 20, 5000).size()).isPresent();
            }
        }
    }
}
