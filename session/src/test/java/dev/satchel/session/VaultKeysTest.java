package dev.satchel.session;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonObject;
import com.microsoft.playwright.CDPSession;
import com.microsoft.playwright.Page;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.KdfCost;
import dev.satchel.vault.KeyKind;
import dev.satchel.vault.KeySlotInfo;
import dev.satchel.vault.NoSuchException;
import dev.satchel.vault.Vault;
import dev.satchel.vault.WrongPassphraseException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A vault's keys as the commands use them; security keys are Chromium's virtual authenticators, and nothing of the way to them is left out. */
class VaultKeysTest {
    private static final Duration MINUTES = Duration.ofMinutes(5);

    @TempDir
    Path directory;

    private Path vault;
    private Host host;

    @BeforeEach
    void make() throws IOException {
        vault = directory.resolve("vault");
        Vault.init(new DirectoryBackend(vault), "first".getBytes(UTF_8), KdfCost.FOR_TESTS, "at home");
        host = Host.open(directory.resolve("state"), directory, directory);
    }

    @AfterEach
    void forget() throws IOException {
        with(nothing()).lock();
    }

    private VaultKeys with(PassphraseSource passphrase) {
        return new VaultKeys(host, vault, passphrase);
    }

    private VaultKeys with(String passphrase) {
        return with(source(passphrase));
    }

    private static PassphraseSource source(String passphrase) {
        return () -> passphrase.getBytes(UTF_8);
    }

    /** Nobody is to be asked. */
    private static PassphraseSource nothing() {
        return () -> {
            throw new AssertionError("the passphrase was asked for");
        };
    }

    private static List<String> labels(VaultKeys keys) throws IOException {
        return keys.list().stream().map(key -> key.label().orElseThrow()).toList();
    }

    @Test
    void aRecoveryKeyOpensWhereverAPassphraseIsAskedFor() throws IOException {
        VaultKeys.Recovery paper = with("first").addRecovery("paper");
        assertThat(labels(with(paper.words()))).containsExactly("at home", "paper");
        with(paper.words().toUpperCase(java.util.Locale.ROOT)).unlock(MINUTES);
        // From now on nobody is asked, for adding another key neither: the way back for who forgot the passphrase.
        with(nothing()).addPassphrase(source("second"), "new");
        with(nothing()).remove("at home");
        with(nothing()).lock();
        assertThat(labels(with("second"))).containsExactly("paper", "new");
        assertThatThrownBy(() -> with("first").list()).isInstanceOf(WrongPassphraseException.class);
        assertThatThrownBy(() -> with(paper.words()).changePassphrase(source("third")))
                .isInstanceOf(SatchelException.class)
                .hasMessageContaining("recovery key");
    }

    @Test
    void thePassphraseIsChangedAndItsGuessesAreMeasured() throws IOException {
        with("first").unlock(MINUTES);
        assertThatThrownBy(() -> with("other").changePassphrase(source("second")))
                .isInstanceOf(WrongPassphraseException.class);
        KeySlotInfo added = with("first").changePassphrase(source("second"));
        assertThat(added.label()).contains("at home");
        assertThat(added.cost().orElseThrow().memoryKib()).isEqualTo(65536);
        assertThat(added.costMillis().orElseThrow()).isPositive();
        with(nothing()).lock();
        assertThat(with("second").list()).containsExactly(added);
        assertThatThrownBy(() -> with("first").list()).isInstanceOf(WrongPassphraseException.class);
    }

    /** What is left on the host: which slot it was, and not what opens it, or what it is called. */
    @Test
    void theHostRemembersWhichKeyItWas() throws IOException {
        KeySlotInfo second = with("first").addPassphrase(source("second"), "office");
        Path seen = host.state().resolve("seen/keys/" + Vault.identify(new DirectoryBackend(vault)));
        with("second").list();
        assertThat(seen).content().isEqualTo(second.id().toString());
        Files.writeString(seen, "torn");
        with("second").list();
        assertThat(seen).content().isEqualTo(second.id().toString());
    }

    @Test
    void labelsThatAreNoneAreRefusedBeforeAnythingIsAsked() {
        assertThatThrownBy(() -> with(nothing()).addRecovery("x".repeat(101))).isInstanceOf(SatchelException.class);
        assertThatThrownBy(() -> with(nothing()).addPassphrase(nothing(), "a\nb"))
                .isInstanceOf(SatchelException.class);
    }

    /** A browser on somebody's desk. */
    private static final class Desk implements AutoCloseable {
        private final Chromium chromium = new Chromium();
        private final Page page = chromium.open("about:blank");
        private final CDPSession devTools = page.context().newCDPSession(page);
        private String key;

        Desk() {
            devTools.send("WebAuthn.enable");
            key = plugIn();
        }

        private String plugIn() {
            JsonObject options = new JsonObject();
            options.addProperty("protocol", "ctap2");
            options.addProperty("ctap2Version", "ctap2_1");
            options.addProperty("transport", "usb");
            options.addProperty("hasUserVerification", true);
            options.addProperty("isUserVerified", true);
            options.addProperty("hasPrf", true);
            options.addProperty("automaticPresenceSimulation", true);
            JsonObject all = new JsonObject();
            all.add("options", options);
            return devTools.send("WebAuthn.addVirtualAuthenticator", all)
                    .get("authenticatorId")
                    .getAsString();
        }

        void takeAnotherKey() {
            JsonObject removed = new JsonObject();
            removed.addProperty("authenticatorId", key);
            devTools.send("WebAuthn.removeVirtualAuthenticator", removed);
            key = plugIn();
        }

        /** The user takes the hand away: the PIN is wrong, or the question was closed. */
        void verified(boolean verified) {
            JsonObject parameters = new JsonObject();
            parameters.addProperty("authenticatorId", key);
            parameters.addProperty("isUserVerified", verified);
            devTools.send("WebAuthn.setUserVerified", parameters);
        }

        /** What somebody types who is asked to open a link: the command runs in a thread of its own meanwhile. */
        <T> T use(Command<T> command) throws IOException {
            CompletableFuture<String> link = new CompletableFuture<>();
            CompletableFuture<T> done = new CompletableFuture<>();
            Thread.ofPlatform().start(() -> {
                try {
                    done.complete(command.run(link::complete));
                } catch (Throwable e) {
                    link.complete("");
                    done.completeExceptionally(e);
                }
            });
            String url = link.join();
            if (!url.isEmpty()) {
                page.navigate("about:blank");
                page.navigate(url);
                while (!done.isDone() && !page.locator("#said").textContent().matches("(Done|It did not|Satchel).*")) {
                    if (page.locator("#go:not(:disabled)").isVisible()) {
                        page.locator("#go").click();
                    }
                    page.waitForTimeout(20);
                }
            }
            try {
                return done.get();
            } catch (ExecutionException e) {
                if (e.getCause() instanceof IOException io) {
                    throw io;
                }
                throw new AssertionError(e.getCause());
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }

        interface Command<T> {
            T run(VaultKeys.LinkListener links) throws IOException;
        }

        @Override
        public void close() {
            chromium.close();
        }
    }

    private void unlock(Desk desk) throws IOException {
        desk.use(links -> {
            with(nothing()).unlockBySecurityKey(MINUTES, links);
            return true;
        });
    }

    @Test
    void aSecurityKeyOpensTheVaultUntilItIsRemoved() throws IOException {
        assertThatThrownBy(() -> with(nothing()).unlockBySecurityKey(MINUTES, link -> {
                    throw new AssertionError("a link for nothing");
                }))
                .isInstanceOf(NoSuchException.class);
        try (Desk desk = new Desk()) {
            KeySlotInfo blue = desk.use(links -> with("first").addSecurityKey("blue one", links));
            assertThat(blue.kind()).contains(KeyKind.SECURITY_KEY);
            assertThatThrownBy(() -> desk.use(links -> with("first").addSecurityKey("the same", links)))
                    .isInstanceOf(SatchelException.class)
                    .hasMessageContaining("opens the vault already");

            unlock(desk);
            assertThat(labels(with(nothing()))).containsExactly("at home", "blue one");
            // It alone is not enough to be all that is left.
            assertThatThrownBy(() -> with(nothing()).remove("at home")).hasMessageContaining("last key");
            with(nothing()).lock();

            // Whoever owns the storage has changed what the key is asked, or who it is asked for.
            Path slot = vault.resolve("keys/" + blue.id());
            byte[] whole = Files.readAllBytes(slot);
            for (int at : new int[] {30, 100, 120, 180, whole.length - 1}) {
                byte[] changed = whole.clone();
                changed[at] ^= 1;
                Files.write(slot, changed);
                assertThatThrownBy(() -> unlock(desk)).isInstanceOf(NoSuchException.class);
            }
            Files.write(slot, whole);
            unlock(desk);
            with(nothing()).lock();

            // Cancelled, or no PIN: after that the key is locked, as real ones are.
            desk.verified(false);
            assertThatThrownBy(() -> unlock(desk))
                    .isInstanceOf(SatchelException.class)
                    .hasMessageContaining("cancelled")
                    .hasMessageContaining(": try again");

            // One of the two, by its name; another that was never added.
            desk.takeAnotherKey();
            assertThatThrownBy(() -> unlock(desk)).isInstanceOf(SatchelException.class);
            desk.use(links -> with("first").addSecurityKey("red one", links));
            unlock(desk);
            with(nothing()).lock();
            PassphraseSource named = new PassphraseSource() {
                @Override
                public byte[] passphrase() {
                    throw new AssertionError("the passphrase was asked for");
                }

                @Override
                public Optional<String> key() {
                    return Optional.of("red one");
                }
            };
            desk.use(links -> {
                with(named).unlockBySecurityKey(MINUTES, links);
                return true;
            });

            with(nothing()).remove("red one");
            with(nothing()).lock();
            assertThatThrownBy(() -> unlock(desk)).isInstanceOf(SatchelException.class);
            with("first").remove("blue one");
            assertThatThrownBy(() -> unlock(desk)).isInstanceOf(NoSuchException.class);
        }
    }
}
