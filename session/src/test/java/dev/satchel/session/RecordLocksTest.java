package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Test;

/** Locks that keep processes out of one another's data, before and after a move; looked at by programs that were not there before. */
class RecordLocksTest extends LiveTest {
    /** Holds a transaction half done and locks on a file that it has mapped; then ends both well. */
    private static final String HOLDER = """
            import fcntl, mmap, os, sqlite3, time
            file = open("mapped", "w+b")
            file.truncate(8192)
            mapping = mmap.mmap(file.fileno(), 4096)
            fcntl.lockf(file, fcntl.LOCK_EX, 100, 1000)
            fcntl.lockf(file, fcntl.LOCK_SH, 100, 2000)
            database = sqlite3.connect("wal.db", isolation_level=None, timeout=0.2)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE account(name TEXT, money INTEGER)")
            database.execute("INSERT INTO account VALUES('one', 100), ('two', 100)")
            database.execute("BEGIN IMMEDIATE")
            money = database.execute("SELECT money FROM account WHERE name='one'").fetchone()[0]
            database.execute("UPDATE account SET money=? WHERE name='one'", (money - 30,))
            open("held", "w").close()
            while not os.path.exists("go"):
                time.sleep(0.05)
            database.execute("UPDATE account SET money=money+30 WHERE name='two'")
            database.execute("COMMIT")
            fcntl.lockf(file, fcntl.LOCK_UN)
            os.rename("held", "over")
            time.sleep(1000)
            """;

    private static final String INTRUDER = """
            import sqlite3
            database = sqlite3.connect("wal.db", isolation_level=None, timeout=0.2)
            try:
                database.execute("UPDATE account SET money=0")
            except sqlite3.OperationalError as problem:
                print(problem, end=" ")
            print(database.execute("SELECT * FROM account").fetchall(), database.execute("PRAGMA integrity_check").fetchone())
            """;

    private static final String TRY = """
            import fcntl, os
            for kind, start in ((fcntl.LOCK_EX, 1000), (fcntl.LOCK_SH, 1099), (fcntl.LOCK_EX, 1100), (fcntl.LOCK_EX, 2000), (fcntl.LOCK_SH, 2000)):
                try:
                    fcntl.lockf(os.open("mapped", os.O_RDWR), kind | fcntl.LOCK_NB, 1, start)
                    print("free", end=" ")
                except OSError:
                    print("locked", end=" ")
            """;

    private static final String LOCKED = "database is locked [('one', 100), ('two', 100)] ('ok',)\n";

    @Test
    void aTransactionHalfDoneKeepsOthersOutAfterAMove() throws IOException {
        String name = name("locks");
        a.create(name);
        try (Running here = a.resume(name)) {
            here.put("holder.py", HOLDER);
            here.put("intruder.py", INTRUDER);
            here.put("try.py", TRY);
            here.start("exec python3 holder.py");
            here.awaitFile("home/user/held");
            assertThat(python(here, "intruder.py")).isEqualTo(LOCKED);
            assertThat(python(here, "try.py")).isEqualTo("locked locked free locked free ");
            here.snapshot();
            assertThat(python(here, "try.py")).isEqualTo("locked locked free locked free ");
            here.suspend();
        }
        try (Running there = b.resume(name)) {
            assertThat(python(there, "try.py")).isEqualTo("locked locked free locked free ");
            assertThat(python(there, "intruder.py")).isEqualTo(LOCKED);
            there.suspend();
        }
        try (Running again = a.resume(name)) {
            assertThat(python(again, "intruder.py")).isEqualTo(LOCKED);
            again.sh("touch /home/user/go");
            again.awaitFile("home/user/over");
            assertThat(python(again, "try.py")).isEqualTo("free free free free free ");
            assertThat(again.sh("cd /home/user; python3 -c 'import sqlite3;"
                            + " print(sqlite3.connect(\"wal.db\").execute(\"SELECT * FROM account\").fetchall())'"))
                    .isEqualTo("[('one', 70), ('two', 130)]\n");
        }
    }

    private static String python(Running session, String file) throws IOException {
        return session.sh("cd /home/user; exec python3 " + file);
    }
}
