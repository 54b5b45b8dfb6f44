package dev.satchel.display.x11;

import dev.satchel.display.Screen;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** An Xvfb of a test's own, started as sessions start theirs. */
public final class XServer implements AutoCloseable {
    private final Process process;
    private final int number;
    private final List<Process> clients = new ArrayList<>();

    public XServer(int width, int height) throws IOException {
        process = new ProcessBuilder(
                        "Xvfb",
                        "-displayfd",
                        "1",
                        "-screen",
                        "0",
                        width + "x" + height + "x24",
                        "-shmem",
                        "-nolisten",
                        "tcp",
                        "-noreset",
                        "-ac",
                        "-s",
                        "0",
                        "-dpi",
                        "96")
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        BufferedReader said = process.inputReader(StandardCharsets.US_ASCII);
        String line = said.readLine();
        if (line == null) {
            throw new IOException("Xvfb did not start");
        }
        number = Integer.parseInt(line.strip());
    }

    public long pid() {
        return process.pid();
    }

    public String display() {
        return ":" + number;
    }

    public X11Screen open(Screen.Listener listener) throws IOException {
        return X11Screen.open(Path.of("/"), "tmp/.X11-unix/X" + number, pid(), listener);
    }

    Glance glance(int widthMax, int heightMax) throws IOException {
        return Glance.of(Path.of("/"), "tmp/.X11-unix/X" + number, pid(), widthMax, heightMax);
    }

    /** A client of a test's own. */
    X11Connection connect() throws IOException {
        return new X11Connection(UnixDomainSocketAddress.of("/tmp/.X11-unix/X" + number));
    }

    /** Runs a program to its end. @return what it wrote */
    public String run(String... command) throws IOException, InterruptedException {
        Process program = start(command);
        program.outputWriter().close();
        String out = new String(program.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (!program.waitFor(60, TimeUnit.SECONDS) || program.exitValue() != 0) {
            throw new IOException(String.join(" ", command) + ": " + out);
        }
        return out;
    }

    /** Starts a program that ends with this. */
    public Process start(String... command) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("DISPLAY", display());
        builder.environment().put("LC_ALL", "C.UTF-8");
        Process program = builder.start();
        clients.add(program);
        return program;
    }

    public void signal(String name) throws IOException, InterruptedException {
        if (new ProcessBuilder("kill", "-" + name, Long.toString(pid())).start().waitFor() != 0) {
            throw new IOException("kill failed");
        }
    }

    @Override
    public void close() {
        for (Process client : clients) {
            client.destroyForcibly();
        }
        process.destroyForcibly();
        try {
            process.waitFor();
            for (Process client : clients) {
                client.waitFor();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
