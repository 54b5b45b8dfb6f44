package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A program inside makes numbered records durable, in a file, in SQLite and (where the image has it) in PostgreSQL, and tells each one to
 * the outside after that; its supervisor is killed at random. What was told must be there afterwards, the file system must be
 * whole once its journal is replayed, and the vault must verify.
 */
final class RealKills {
    private static final String WRITER = """
            import os, sqlite3, subprocess, sys
            log = open("/home/user/records", "a")
            n = sum(1 for _ in open("/home/user/records"))
            db = sqlite3.connect("/home/user/records.db", isolation_level=None)
            db.execute("pragma journal_mode = " + sys.argv[1])
            db.execute("pragma synchronous = full")
            db.execute("create table if not exists records (n integer primary key, padding blob)")
            # What was on its way when the last one was killed is in the file alone, perhaps.
            stored = db.execute("select count(*) from records").fetchone()[0]
            db.executemany("insert into records values (?, null)", [(k,) for k in range(stored + 1, n + 1)])
            postgres = None
            if os.path.exists("/usr/lib/postgresql"):
                postgres = subprocess.Popen(["psql", "-qAt", "-h", "/tmp", "-U", "user", "postgres"],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
                postgres.stdin.write("create table if not exists records (n bigint primary key);\\n")
                postgres.stdin.write(f"insert into records select generate_series(1, {n}) on conflict do nothing;\\n")
            d = os.open("/home/user", os.O_RDONLY)
            while True:
                n += 1
                log.write(f"{n}\\n")
                log.flush()
                os.fsync(log.fileno())
                db.execute("insert or replace into records values (?, ?)", (n, os.urandom(n % 3000)))
                with open("/home/user/newest.new", "w") as f:
                    f.write(f"{n}")
                    f.flush()
                    os.fsync(f.fileno())
                os.rename("/home/user/newest.new", "/home/user/newest")
                os.fsync(d)
                if postgres:
                    postgres.stdin.write(f"insert into records values ({n}) on conflict do nothing; select 'stored {n}';\\n")
                    if postgres.stdout.readline() != f"stored {n}\\n":
                        sys.exit("PostgreSQL has not stored it")
                print(n, flush=True)
            """;

    private static final String CHECKER = """
            import os, sqlite3, subprocess
            lines = open("/home/user/records").read().split("\\n")[:-1]
            if lines != [str(i + 1) for i in range(len(lines))]:
                raise SystemExit("the file's records are not as written")
            db = sqlite3.connect("/home/user/records.db")
            if db.execute("pragma integrity_check").fetchall() != [("ok",)]:
                raise SystemExit("SQLite finds its database damaged")
            rows = [n for n, in db.execute("select n from records order by n")]
            if rows != list(range(1, len(rows) + 1)):
                raise SystemExit("SQLite's records are not as written")
            counts = [len(lines), len(rows), int(open("/home/user/newest").read())]
            if os.path.exists("/usr/lib/postgresql"):
                counts.append(int(subprocess.run(["psql", "-qAt", "-h", "/tmp", "-U", "user", "postgres", "-c",
                        "select count(*) from records where n <= (select max(n) from records)"],
                        capture_output=True, text=True, check=True).stdout))
            print(min(counts), max(counts))
            """;

    private static final String START_POSTGRES = """
            test -d /usr/lib/postgresql || exit 0
            set -e
            cd /home/user
            bin=$(echo /usr/lib/postgresql/*/bin)
            test -d data || { $bin/initdb -D data.new -U user >/dev/null; sync; mv data.new data; sync; }
            rm -f data/postmaster.pid
            $bin/pg_ctl -D data -o "-k /tmp -h ''" -l postgres.log -w -t 60 start >/dev/null
            """;

    private final Site site;
    private final TestHost host;
    private final String name;
    private final Random random;
    private long told;
    private int kills;

    RealKills(Site site, TestHost host, String name, long seed) {
        this.site = site;
        this.host = host;
        this.name = name;
        this.random = new Random(seed);
    }

    /** Records told so far. */
    long told() {
        return told;
    }

    /** Runs the session, kills its supervisor while it writes, and looks at what is left. */
    void killOnce() throws IOException {
        try (SessionProcess process =
                SessionProcess.start(host, name, kills == 0 ? Optional.empty() : Optional.of(SessionProcess.FRESH))) {
            process.awaitRunning();
            check();
            Process writer = writer();
            Thread reading = read(writer);
            try {
                long before = told;
                Eventually.holds(60_000, "records are written", () -> heard.get() > before);
                if (random.nextInt(3) == 0) {
                    // While it takes a snapshot, too.
                    Thread.ofVirtual().start(() -> {
                        try {
                            host.with(satchel -> satchel.snapshot(name));
                        } catch (IOException e) {
                            return; // it is killed
                        }
                    });
                }
                Eventually.pause(random.nextInt(1200));
                process.kill();
                kills++;
                // It may wait for ever for a database that the checkpoint's program has left standing still: the next
                // run ends it.
                reading.join(5_000);
            } catch (InterruptedException e) {
                throw new IOException(e);
            } finally {
                writer.destroyForcibly();
            }
            told = heard.get();
        }
        site.checkFileSystem(name);
        assertThat(site.verify().errors()).isEmpty();
    }

    private final AtomicLong heard = new AtomicLong();

    private Process writer() throws IOException {
        Ran.of(
                        exec("sh", "-c", "cat >/home/user/writer.py; touch /home/user/records"),
                        WRITER.getBytes(StandardCharsets.UTF_8))
                .expect(0);
        return new ProcessBuilder(exec("python3", "/home/user/writer.py", random.nextBoolean() ? "wal" : "delete"))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    /** What a record's writer has told is certain; what it was about to tell is not. */
    private Thread read(Process writer) {
        return Thread.ofPlatform().daemon().start(() -> {
            try (BufferedReader lines = writer.inputReader(StandardCharsets.UTF_8)) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    heard.set(Long.parseLong(line));
                }
            } catch (IOException e) {
                return; // it has been killed
            }
        });
    }

    private List<String> exec(String... command) throws IOException {
        return host.with(satchel -> satchel.execCommand(name, Optional.of("user"), false, List.of(command)));
    }

    /** That all records that were told are there; inside, with the session running. */
    private void check() throws IOException {
        Ran.of(exec("sh", "-c", START_POSTGRES)).expect(0);
        if (kills == 0) {
            return;
        }
        String[] counts =
                Ran.of(exec("python3", "-c", CHECKER)).expect(0).out().strip().split(" ", -1);
        assertThat(Long.parseLong(counts[0]))
                .as("records there after %d kills", kills)
                .isGreaterThanOrEqualTo(told);
        assertThat(Long.parseLong(counts[1]))
                .as("one record at most was on its way")
                .isLessThanOrEqualTo(Long.parseLong(counts[0]) + 1);
    }

    /** Runs the session to its end and looks once more. */
    void finish() throws IOException {
        try (Running running = host.resumeFresh(name)) {
            check();
            running.stop();
        }
        site.checkFileSystem(name);
    }
}
