package dev.satchel.session;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** What the program's {@code recorder} command is, for supervisors that run in a test's JVM. */
final class RecorderProcess {
    private RecorderProcess() {}

    static List<String> line() {
        return List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                RecorderProcess.class.getName());
    }

    public static void main(String[] arguments) throws IOException {
        Recorder.run(System.in, System.out);
    }
}
