package dev.satchel.display;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** What of a pointer's way comes to the display. */
class MotionsTest {
    private final List<String> taken = new ArrayList<>();
    private final Motions motions = new Motions((x, y, buttons) -> taken.add(x + "," + y + " " + buttons));

    @Test
    void aDragBeginsWhereTheButtonWasPressedAndEndsWhereItWasLetGo() {
        motions.add(1, 0, 0);
        motions.add(2, 0, 0);
        motions.add(2, 0, 1);
        motions.add(3, 0, 1);
        motions.add(4, 0, 1);
        motions.add(5, 0, 0);
        motions.add(6, 0, 0);
        motions.flush();
        motions.flush();
        assertThat(taken).containsExactly("2,0 0", "2,0 1", "4,0 1", "5,0 0", "6,0 0");
    }

    /** However many wait, each change of a button is taken where it was, in order, and the last place is. */
    @Property(tries = 500)
    void noButtonIsLost(@ForAll List<@IntRange(max = 3) Integer> buttons, @ForAll List<Boolean> waits) {
        taken.clear();
        Motions some = new Motions((x, y, pressed) -> taken.add(x + " " + pressed));
        int before = 0;
        List<String> changes = new ArrayList<>();
        for (int i = 0; i < buttons.size(); i++) {
            if (buttons.get(i) != before) {
                changes.add(i + " " + buttons.get(i));
                before = buttons.get(i);
            }
            some.add(i, 0, buttons.get(i));
            if (i < waits.size() && !waits.get(i)) {
                some.flush();
            }
        }
        some.flush();
        assertThat(taken).doesNotHaveDuplicates();
        if (!changes.isEmpty()) {
            assertThat(taken).containsSubsequence(changes);
        }
        if (!buttons.isEmpty()) {
            assertThat(taken).endsWith(buttons.size() - 1 + " " + buttons.getLast());
        }
    }
}
