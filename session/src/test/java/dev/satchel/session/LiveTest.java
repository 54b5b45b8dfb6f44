package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.satchel.linux.Mount;
import dev.satchel.linux.Mounts;
import dev.satchel.vault.SessionId;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/**
 * A test that runs sessions for real: kernel, CRIU, FUSE, runc, network. It must end what it starts; afterwards nothing may be left of
 * any session of its vault: no mount, loop device, control group, process, network interface, nothing in the hosts' run directories.
 */
abstract class LiveTest {
    /** Appends lines that it has made durable, and counts them in memory; an error ends it, and is told. */
    static final String DURABLE_LINES = """
            exec python3 -c '
            import os, time
            n = 0
            try:
                with open("/home/user/lines", "a") as lines:
                    while True:
                        n += 1
                        lines.write(f"{n}\\n")
                        lines.flush()
                        os.fsync(lines.fileno())
                        with open("/dev/shm/new", "w") as count:
                            count.write(str(n))
                        os.rename("/dev/shm/new", "/dev/shm/count")
                        time.sleep(0.02)
            except OSError as e:
                open("/dev/shm/failed", "w").write(str(e))
            '""";

    private static final AtomicInteger NAMES = new AtomicInteger();
    private static final long SETTLE_MILLIS = 30_000;

    Site site;
    TestHost a;
    TestHost b;
    private final List<Site> sites = new ArrayList<>();
    private final List<Device> devices = new ArrayList<>();

    @BeforeEach
    void open() throws IOException {
        site = Site.shared();
        sites.add(site);
        a = site.host();
        b = site.host();
    }

    /** Has the check of leftovers look after another vault's sessions, too. */
    Site alsoWatch(Site other) {
        sites.add(other);
        return other;
    }

    /** A device of the test's own, which goes with the test. */
    Device device(long sizeBytes) throws IOException {
        Device device = Device.make(site.directory(), sizeBytes);
        devices.add(device);
        return device;
    }

    /** A name that no other test has given. */
    static String name(String what) {
        return what + "-" + NAMES.incrementAndGet();
    }

    @AfterEach
    void nothingIsLeft() throws IOException {
        List<String> left = new ArrayList<>();
        try {
            Running.closeAll();
        } catch (IOException | AssertionError e) {
            left.add("ending what ran on failed: " + e);
        }
        left.addAll(leftovers());
        for (Device device : devices) {
            device.close();
        }
        assertThat(left).as("left behind").isEmpty();
    }

    /** What there is on this machine of sessions of the test's vaults. */
    List<String> leftovers() throws IOException {
        List<String> left = List.of();
        long deadline = System.nanoTime() + SETTLE_MILLIS * 1_000_000;
        do {
            left = look();
            if (!left.isEmpty()) {
                Eventually.pause(100); // e.g. a process that was killed just now
            }
        } while (!left.isEmpty() && System.nanoTime() < deadline);
        return left;
    }

    /** Threads of this process in the network of a session: what they start would be there, too. */
    private static void strayThreads(List<String> left) throws IOException {
        Path home = Files.readSymbolicLink(Path.of("/proc/self/ns/net"));
        for (Path thread : list(Path.of("/proc/self/task"))) {
            try {
                if (!Files.readSymbolicLink(thread.resolve("ns/net")).equals(home)) {
                    left.add("thread '"
                            + Files.readString(thread.resolve("comm")).strip() + "' in another network");
                }
            } catch (IOException e) {
                // It has ended, or ends.
            }
        }
    }

    /** What a block device is attached to; empty if it is to nothing. */
    private static String backing(Path device) {
        try {
            return Files.readString(device.resolve("loop/backing_file"));
        } catch (IOException e) {
            return ""; // none, or it goes just now
        }
    }

    private List<String> look() throws IOException {
        List<String> marks = new ArrayList<>(List.of(site.directory().toString() + "/"));
        for (Site one : sites) {
            for (SessionId id : one.sessionIds()) {
                marks.add(id.toString());
            }
        }
        List<String> left = new ArrayList<>();
        strayThreads(left);
        for (Mount mount : Mounts.list()) {
            if ((mentions(mount.target() + "/", marks)
                            && mount.target().toString().contains("/host"))
                    || mentions(mount.target().toString(), marks.subList(1, marks.size()))) {
                left.add("mount " + mount.target());
            }
        }
        for (Path loop : list(Path.of("/sys/block"))) {
            if (backing(loop).contains(site.directory() + "/host")) {
                left.add("loop device " + loop.getFileName());
            }
        }
        for (Path hierarchy : list(Path.of("/sys/fs/cgroup"))) {
            for (Path group : list(hierarchy.resolve("satchel"))) {
                addIfMentioned(left, "control group ", group, marks);
            }
        }
        for (Path group : list(Path.of("/sys/fs/cgroup/satchel"))) {
            addIfMentioned(left, "control group ", group, marks);
        }
        for (Path link : list(Path.of("/sys/class/net"))) {
            if (mentions(alias(link), marks)) {
                left.add("network interface " + link.getFileName());
            }
        }
        for (Path root : list(Path.of("/run/satchel"))) {
            addIfMentioned(left, "", root, marks);
        }
        for (Path host : list(site.directory())) {
            for (Path run : list(host.resolve("run"))) {
                left.add("" + run);
            }
        }
        for (Path process : list(Path.of("/proc"))) {
            if (process.getFileName().toString().matches("[0-9]+")) {
                lookAt(process, marks, left);
            }
        }
        return left;
    }

    /** What the supervisor notes on its interfaces: the session's id. */
    private static String alias(Path link) {
        try {
            return Files.readString(link.resolve("ifalias"));
        } catch (IOException e) {
            return ""; // no interface, or one that has just gone
        }
    }

    private static void lookAt(Path process, List<String> marks, List<String> left) {
        try {
            String line = new String(Files.readAllBytes(process.resolve("cmdline")), StandardCharsets.UTF_8)
                    .replace('\0', ' ');
            boolean own = process.getFileName()
                    .toString()
                    .equals(Long.toString(ProcessHandle.current().pid()));
            if (!own && (mentions(line, marks) || mentions(Files.readString(process.resolve("cgroup")), marks))) {
                left.add("process " + process.getFileName() + " " + line);
            }
        } catch (IOException e) {
            return; // it has just ended
        }
    }

    private static void addIfMentioned(List<String> left, String what, Path path, List<String> marks) {
        if (mentions(path.toString(), marks)) {
            left.add(what + path);
        }
    }

    private static boolean mentions(String text, List<String> marks) {
        return marks.stream().anyMatch(text::contains);
    }

    private static List<Path> list(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        try (Stream<Path> entries = Files.list(directory)) {
            return entries.toList();
        }
    }
}
