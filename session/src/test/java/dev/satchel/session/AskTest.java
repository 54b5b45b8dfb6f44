package dev.satchel.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.SessionId;
import dev.satchel.vault.WrongPassphraseException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** How a command finds the supervisor of a session that runs here. */
class AskTest extends LiveTest {
    private void unlocked() throws IOException {
        a.with(satchel -> {
            satchel.unlock(Duration.ofMinutes(10));
            return true;
        });
    }

    /** Also if the test fails, when its process has just been killed. */
    private void ended(String name) throws IOException {
        locked();
        a.with(satchel -> {
            satchel.remove(name, true);
            return true;
        });
    }

    private void locked() throws IOException {
        a.with(satchel -> {
            satchel.lock();
            return true;
        });
    }

    @Test
    void theVaultIsNotOpenedForItByWhoHasItUnlocked() throws IOException {
        String name = name("ask");
        a.create(name);
        unlocked();
        try (SessionProcess _ = SessionProcess.start(a, name, Optional.empty()).awaitRunning()) {
            String link = a.with(satchel -> satchel.viewUrl(name, true));
            Path sessions = site.vault().resolve("sessions");
            Path aside = site.directory().resolve("sessions-aside");
            Files.move(sessions, aside);
            try {
                assertThatThrownBy(() -> a.with(satchel -> satchel.inspect(name)))
                        .hasMessageStartingWith("there is no session");
                String again = a.with(satchel -> satchel.viewUrl(name, true));
                assertThat(again).isEqualTo(link);
            } finally {
                Files.move(aside, sessions);
            }
            locked();
            TestHost stranger = new TestHost(site, a.host(), () -> "another".getBytes(StandardCharsets.US_ASCII));
            assertThatThrownBy(() -> stranger.with(satchel -> satchel.viewUrl(name, true)))
                    .isInstanceOf(WrongPassphraseException.class);
            SuspendResult suspended = a.with(satchel -> satchel.suspend(name));
            assertThat(suspended.session()).isEqualTo(name);
        } finally {
            ended(name);
        }
    }

    @Test
    void whoIsTakenForAnotherSaysSo() throws IOException {
        String name = name("ask");
        a.create(name);
        // A word of the first one's command line.
        String word = SessionProcess.FRESH;
        a.create(word);
        unlocked();
        try (SessionProcess _ = SessionProcess.start(a, name, Optional.of(word)).awaitRunning()) {
            SessionId id = site.sessionId(name);
            Path stray = Files.createDirectory(a.host().runs().resolve("stray"));
            assertThat(RunDirectory.startedWith(a.host(), word))
                    .extracting(RunDirectory::session)
                    .containsExactly(id);
            Files.delete(stray);
            assertThatThrownBy(() -> a.with(satchel -> satchel.viewUrl(word, true)))
                    .hasMessageStartingWith("'" + word + "' does not run");
            SuspendResult suspended = a.with(satchel -> satchel.suspend(name));
            assertThat(suspended.session()).isEqualTo(name);
        } finally {
            ended(name);
        }
        assertThat(RunDirectory.startedWith(a.host(), word)).isEmpty();
    }
}
