package dev.satchel.cli;

import java.io.IOException;
import java.util.List;

/** {@code doctor}. */
final class DoctorCommand extends Command {
    DoctorCommand() {
        super("doctor", "Check what sessions need of this host");
        describe("Each thing is checked by doing it, and how to mend what is missing is said with it. If something is"
                + " missing the exit code is 5. Needs no vault.");
        examples("satchel doctor");
    }

    @Override
    int run(Invocation invocation) throws IOException {
        DoctorReport report = new DoctorReport(invocation.doctor());
        invocation.print(report);
        List<String> failing = report.failing();
        if (failing.isEmpty()) {
            return 0;
        }
        invocation.note("this host lacks " + String.join(", ", failing) + ": 'satchel doctor' says how to mend each");
        return Failure.HOST_LACKS;
    }
}
