package dev.satchel.session;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.satchel.vault.Backend;
import dev.satchel.vault.DirectoryBackend;
import dev.satchel.vault.FileHeadWitness;
import dev.satchel.vault.Head;
import dev.satchel.vault.HostId;
import dev.satchel.vault.KdfParameters;
import dev.satchel.vault.Lease;
import dev.satchel.vault.SessionId;
import dev.satchel.vault.Vault;
import dev.satchel.vault.VaultKey;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A head whose replacement fails, before it took place or behind it. */
class HeadPutsTest {
    private static final byte[] PASSPHRASE = "correct horse".getBytes(UTF_8);

    private enum Trouble {
        BEFORE_REPLACING,
        BEHIND_REPLACING,
        SETTLING
    }

    @TempDir
    Path directory;

    private final Set<Trouble> trouble = EnumSet.noneOf(Trouble.class);
    private Vault vault;
    private Lease lease;
    private HeadPuts puts;
    private Head first;

    @BeforeEach
    void vaultWithASession() throws IOException {
        Backend backend = failing(new DirectoryBackend(directory.resolve("vault")));
        Vault.init(backend, PASSPHRASE.clone(), KdfParameters.FOR_TESTS);
        try (VaultKey key = Vault.unlock(backend, PASSPHRASE.clone())) {
            vault = Vault.open(backend, key, new FileHeadWitness(directory.resolve("seen")));
        }
        first = Head.first(SessionId.random(), "work", Optional.empty(), "{}".getBytes(UTF_8));
        lease = vault.acquire(first.id(), new HostId(1, 2), "here", false);
        puts = new HeadPuts(vault, lease);
        puts.put(first);
    }

    @AfterEach
    void close() throws IOException {
        lease.close();
        vault.close();
    }

    private void fail(Trouble at) throws IOException {
        if (trouble.contains(at)) {
            throw new IOException("the device has trouble " + at);
        }
    }

    /** A directory whose calls about heads fail as {@link #trouble} says. */
    private Backend failing(Backend real) {
        return (Backend) Proxy.newProxyInstance(
                Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, (_, call, args) -> {
                    boolean head = args != null && args[0] instanceof String name && name.endsWith("/head");
                    if (head && call.getName().equals("settle")) {
                        fail(Trouble.SETTLING);
                    }
                    boolean replaces = head && call.getName().equals("replace");
                    if (replaces) {
                        fail(Trouble.BEFORE_REPLACING);
                    }
                    Object result;
                    try {
                        result = call.invoke(real, args);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                    if (replaces) {
                        fail(Trouble.BEHIND_REPLACING);
                    }
                    return result;
                });
    }

    private Head next(Head head, String settings) {
        return head.next(head.snapshot(), settings.getBytes(UTF_8));
    }

    private long generation() throws IOException {
        return vault.head(first.id()).orElseThrow().generation();
    }

    @Test
    void oneThatIsThereAllTheSameIsMadeDurableAndTaken() throws IOException {
        trouble.add(Trouble.BEHIND_REPLACING);
        Head second = next(first, "{\"a\":1}");
        puts.put(second);
        trouble.clear();
        assertThat(generation()).isEqualTo(2);
        puts.put(next(second, "{}"));
        assertThat(generation()).isEqualTo(3);
        assertThat(puts.settle()).isEmpty();
    }

    @Test
    void oneThatIsNotKnownToBeDurableIsToldOfAndFollowed() throws IOException {
        trouble.addAll(Set.of(Trouble.BEHIND_REPLACING, Trouble.SETTLING));
        Head second = next(first, "{\"a\":1}");
        assertThatThrownBy(() -> puts.put(second)).hasMessageContaining("BEHIND_REPLACING");
        assertThatThrownBy(() -> puts.settle()).hasMessageContaining("SETTLING");
        trouble.clear();
        Head there = puts.settle().orElseThrow();
        assertThat(there.generation()).isEqualTo(2);
        assertThat(there.settings()).isEqualTo(second.settings());
        puts.put(next(there, "{}"));
        assertThat(generation()).isEqualTo(3);
    }

    @Test
    void oneThatIsNotThereIsNoOnesHead() throws IOException {
        trouble.add(Trouble.BEFORE_REPLACING);
        assertThatThrownBy(() -> puts.put(next(first, "{\"a\":1}"))).hasMessageContaining("BEFORE_REPLACING");
        trouble.clear();
        assertThat(puts.settle()).isEmpty();
        assertThat(generation()).isEqualTo(1);
        puts.put(next(first, "{}"));
        assertThat(generation()).isEqualTo(2);
    }
}
