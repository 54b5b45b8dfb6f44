package dev.satchel.session;

import dev.satchel.linux.Keyring;
import dev.satchel.linux.Mounts;
import dev.satchel.linux.Processes;
import dev.satchel.linux.jpeg.JpegCompressor;
import dev.satchel.linux.vpx.Vp8Encoder;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** Checks what a session needs of a host by doing it, not by asking for versions. */
final class Doctor {
    private static final int TOOL_TIMEOUT_SECONDS = 30;

    private final Host host;
    private final List<CheckResult> results = new ArrayList<>();

    Doctor(Host host) {
        this.host = host;
    }

    private interface Check {
        /** What was seen; throws when it is not as it must be. */
        String run() throws IOException;
    }

    List<CheckResult> examine() {
        check("root", "run it as root, or with sudo", () -> {
            if (Processes.effectiveUid() != 0) {
                throw new IOException("not root");
            }
            return "effective uid 0";
        });
        check("fuse", "load it: modprobe fuse", () -> exists("/dev/fuse"));
        check("loop devices", "load them: modprobe loop", () -> exists("/dev/loop-control"));
        check("ext4", "load it: modprobe ext4", () -> fileSystem("ext4"));
        check("control groups", "mount them at /sys/fs/cgroup", () -> {
            boolean unified =
                    Mounts.list().stream().anyMatch(mount -> mount.type().equals("cgroup2"));
            boolean version1 =
                    Mounts.list().stream().anyMatch(mount -> mount.type().equals("cgroup"));
            if (!unified && !version1) {
                throw new IOException("none are mounted");
            }
            return unified && version1 ? "versions 1 and 2" : unified ? "version 2" : "version 1";
        });
        check(
                "user namespaces",
                "raise the limit: sysctl user.max_user_namespaces=10000",
                () -> tool("unshare", "--user", "--map-root-user", "true"));
        check("time namespaces", "use Linux 5.6 or newer with CONFIG_TIME_NS", () -> tool("unshare", "--time", "true"));
        check(
                "CRIU",
                "let setup/prepare install its own CRIU (Debian's testing suite must be on your mirror)",
                () -> tool(host.criu().toString(), "check"));
        check("OCI runtime", "apt-get install runc", () -> tool("runc", "--version"));
        check("ip", "apt-get install iproute2", () -> tool("ip", "-Version"));
        check("nftables", "apt-get install nftables; the kernel needs nf_tables", () -> tool("nft", "list", "tables"));
        check("forwarding firewall", ForwardingFirewall.FIX, Doctor::forwarding);
        check("mke2fs", "apt-get install e2fsprogs", () -> tool("mke2fs", "-V"));
        check("mmdebstrap (for image build)", "apt-get install mmdebstrap", () -> tool("mmdebstrap", "--version"));
        check("libturbojpeg (for viewers)", "apt-get install libturbojpeg0", () -> {
            new JpegCompressor().close();
            return "works";
        });
        check("libvpx and libyuv (for record)", "apt-get install libyuv0 and libvpx9 or libvpx7", () -> {
            new Vp8Encoder(16, 16, Vp8Encoder.Rate.constantQuality(20), 8).close();
            return "works";
        });
        check("kernel keyring (for vault unlock)", "use a kernel with CONFIG_KEYS", () -> {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment secret = arena.allocate(32);
                Keyring.Key key = Keyring.put("satchel:doctor:" + Processes.pid(), secret, 60);
                Keyring.forget(key);
            }
            return "a key can be kept";
        });
        return results;
    }

    private void check(String name, String fix, Check check) {
        try {
            results.add(new CheckResult(name, true, check.run(), ""));
        } catch (IOException | RuntimeException e) {
            String message = e.getMessage();
            results.add(new CheckResult(name, false, message == null ? e.toString() : message, fix));
        }
    }

    private static String exists(String path) throws IOException {
        if (!Files.exists(Path.of(path))) {
            throw new IOException(path + " is missing");
        }
        return path;
    }

    private static String forwarding() throws IOException {
        Optional<String> dropping = ForwardingFirewall.droppingIn(output("nft", "list", "ruleset"));
        if (dropping.isPresent()) {
            throw new IOException("'" + dropping.get() + "' drops what sessions send to the outside");
        }
        // Where the module was never loaded there is no such table, and asking would load it.
        Path legacy = Path.of("/proc/net/ip_tables_names");
        if (Files.isReadable(legacy)
                && Files.readString(legacy).contains("filter")
                && ForwardingFirewall.dropsLegacy(output("iptables-legacy", "-S", "FORWARD"))) {
            throw new IOException("iptables' FORWARD chain drops what sessions send to the outside");
        }
        return "none in the way";
    }

    private static String fileSystem(String name) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/filesystems"))) {
            if (line.strip().equals(name)) {
                return "in the kernel";
            }
        }
        throw new IOException("the kernel has not loaded it");
    }

    private static String tool(String... line) throws IOException {
        String said = output(line).strip();
        return said.isEmpty() ? "works" : said.lines().findFirst().orElse("works");
    }

    private static String output(String... line) throws IOException {
        Process process = new ProcessBuilder(line)
                .redirectErrorStream(true)
                .redirectInput(ProcessBuilder.Redirect.from(new java.io.File("/dev/null")))
                .start();
        try {
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (!process.waitFor(TOOL_TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
                throw new IOException(line[0] + " does not end");
            }
            if (process.exitValue() != 0) {
                throw new IOException(said.strip().lines().findFirst().orElse(line[0] + " failed"));
            }
            return said;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        } finally {
            process.destroyForcibly();
        }
    }
}
