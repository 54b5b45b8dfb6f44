package dev.satchel.display;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Against sets of pixels. */
class RegionTest {
    private static final int SIDE = 24;

    @Provide
    Arbitrary<List<Rectangle>> rectangles() {
        return Combinators.combine(
                        Arbitraries.integers().between(0, SIDE - 1),
                        Arbitraries.integers().between(0, SIDE - 1),
                        Arbitraries.integers().between(0, SIDE),
                        Arbitraries.integers().between(0, SIDE))
                .as((x, y, w, h) -> new Rectangle(x, y, Math.min(w, SIDE - x), Math.min(h, SIDE - y)))
                .list()
                .ofMaxSize(8);
    }

    private static BitSet pixels(List<Rectangle> rectangles) {
        BitSet set = new BitSet();
        for (Rectangle rectangle : rectangles) {
            for (int y = rectangle.y(); y < rectangle.bottom(); y++) {
                set.set(y * SIDE + rectangle.x(), y * SIDE + rectangle.right());
            }
        }
        return set;
    }

    private static void check(Region region, BitSet expected) {
        long area = 0;
        for (Rectangle rectangle : region.rectangles()) {
            assertThat(rectangle.isEmpty()).isFalse();
            area += rectangle.area();
        }
        // Together what is expected, and none twice.
        assertThat(pixels(region.rectangles())).isEqualTo(expected);
        assertThat(area).isEqualTo(expected.cardinality());
        assertThat(region.area()).isEqualTo(area);
        assertThat(region.isEmpty()).isEqualTo(expected.isEmpty());
        Rectangle bounds = new Rectangle(0, 0, 0, 0);
        for (Rectangle rectangle : region.rectangles()) {
            bounds = bounds.union(rectangle);
        }
        assertThat(region.bounds()).isEqualTo(bounds);
    }

    @Property
    void setsOfPixels(@ForAll("rectangles") List<Rectangle> a, @ForAll("rectangles") List<Rectangle> b) {
        Region x = Region.of(a);
        Region y = Region.of(b);
        check(x, pixels(a));
        BitSet union = pixels(a);
        union.or(pixels(b));
        check(x.union(y), union);
        BitSet both = pixels(a);
        both.and(pixels(b));
        check(x.intersect(y), both);
        BitSet rest = pixels(a);
        rest.andNot(pixels(b));
        check(x.subtract(y), rest);
        for (int i = 0; i < SIDE * SIDE; i++) {
            assertThat(x.contains(i % SIDE, i / SIDE)).isEqualTo(pixels(a).get(i));
        }
    }

    /** Whatever way it was made. */
    @Property
    void equalSetsAreEqualRegions(@ForAll("rectangles") List<Rectangle> a) {
        List<Rectangle> backwards = new ArrayList<>(a.reversed());
        backwards.addAll(Region.of(a).rectangles());
        assertThat(Region.of(backwards)).isEqualTo(Region.of(a)).hasSameHashCodeAs(Region.of(a));
        assertThat(Region.of(a).translate(3, -2).translate(-3, 2)).isEqualTo(Region.of(a));
    }
}
