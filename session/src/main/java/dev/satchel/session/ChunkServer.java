package dev.satchel.session;

import dev.satchel.display.web.Api;
import dev.satchel.display.web.CommandEncoder;
import dev.satchel.display.web.Doorway;
import dev.satchel.display.web.TlsIdentity;
import dev.satchel.display.web.ViewerServer;
import dev.satchel.vault.ChunkId;
import dev.satchel.vault.KeyDomainId;
import dev.satchel.vault.ServedChunks;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Gives a vault's chunks to whoever has its link, sealed, as docs/PROTOCOL.md says: {@code vault serve --read-only}. HTTP, its bounds and who is let
 * in are those of {@link ViewerServer}; beyond loopback it is TLS. Thread-safe.
 */
public final class ChunkServer implements AutoCloseable {
    private static final long SILENCE_MILLIS_MAX = 60_000;
    private static final String SEALED = "application/octet-stream";
    private static final String CHUNKS = "chunks";
    private static final int SECRET_FILE_BYTES_MAX = 4096;
    private static final Set<PosixFilePermission> OF_OTHERS = PosixFilePermissions.fromString("---rwxrwx");

    private final ServedChunks chunks;
    private final ViewerServer server;
    private final Optional<String> fingerprint;

    /**
     * Begins to serve.
     *
     * @param chunks taken over, also when this throws
     * @param state this host's, where its certificate is kept
     * @param address where to listen; by TLS if it is not loopback
     * @param certificate to be shown in the place of the host's own
     * @param secretFile has port and secret of the link from one time to the next; made if it is not there
     */
    ChunkServer(
            ServedChunks chunks,
            Path state,
            ListenAddress address,
            Optional<CertificateFiles> certificate,
            Optional<Path> secretFile)
            throws IOException {
        this.chunks = chunks;
        boolean listening = false;
        try {
            InetSocketAddress bind = address.resolved();
            InetAddress where = bind.getAddress();
            Optional<TlsIdentity> identity = certificate.isPresent()
                    ? Optional.of(TlsIdentity.pem(
                            certificate.get().chain(), certificate.get().key()))
                    : where.isLoopbackAddress()
                            ? Optional.empty()
                            : Optional.of(TlsIdentity.own(state, HostNames.all()));
            fingerprint = identity.map(TlsIdentity::fingerprint);
            Optional<Doorway> earlier =
                    secretFile.isPresent() ? kept(secretFile.get(), bind.getPort()) : Optional.empty();
            server = new ViewerServer(
                    new ViewerServer.Settings(
                            bind,
                            HostNames.forLinks(address, bind),
                            "chunks",
                            identity,
                            earlier,
                            SILENCE_MILLIS_MAX,
                            line -> System.err.println("satchel: " + line)),
                    () -> {
                        throw new IOException("here are chunks, and no session");
                    },
                    CommandEncoder::compressing,
                    new Requests(),
                    path -> null);
            boolean kept = false;
            try {
                if (earlier.isPresent() && server.port() != earlier.get().port()) {
                    throw new SatchelException(
                            SatchelException.Kind.FAILED,
                            "port " + earlier.get().port() + ", which the link in " + secretFile.orElseThrow()
                                    + " has, is somebody else's just now: end that, or name another with --listen");
                }
                if (secretFile.isPresent()) {
                    keep(secretFile.get(), server.doorway());
                }
                kept = true;
            } finally {
                if (!kept) {
                    server.close();
                }
            }
            listening = true;
        } catch (SatchelException e) {
            throw e;
        } catch (IOException e) {
            throw new IOException("can't listen at " + address + ": " + e.getMessage(), e);
        } finally {
            if (!listening) {
                chunks.close();
            }
        }
    }

    /** The link's port and secret of an earlier time; empty if there is no such file yet. */
    private static Optional<Doorway> kept(Path file, int port) throws IOException {
        String text;
        try {
            if (!Collections.disjoint(Files.getPosixFilePermissions(file), OF_OTHERS)) {
                throw secretTrouble(file, "can be read or written by others: chmod 600 it, or name another");
            }
            if (Files.size(file) > SECRET_FILE_BYTES_MAX) {
                throw secretTrouble(file, "was not made by 'satchel vault serve': name another");
            }
            text = Files.readString(file).strip();
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
        Doorway earlier = Doorway.of(text)
                .orElseThrow(() -> secretTrouble(file, "was not made by 'satchel vault serve': name another"));
        return Optional.of(port == 0 ? earlier : new Doorway(port, earlier.tokens()));
    }

    private static SatchelException secretTrouble(Path file, String why) {
        return new SatchelException(SatchelException.Kind.FAILED, file + " " + why);
    }

    /** Notes the link for the next time. */
    private static void keep(Path file, Doorway doorway) throws IOException {
        Path fresh = Files.createTempFile(
                file.toAbsolutePath().getParent(),
                ".satchel-",
                "",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        try {
            Files.writeString(fresh, doorway.toText() + "\n");
            Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(fresh);
        }
    }

    /** The link that lets others in: what {@code --lookaside} takes. */
    public String link() {
        // The certificate is in it, so that nobody has to compare anything.
        return server.link(true)
                + fingerprint
                        .map(text -> "&cert=" + text.replace(":", "").toLowerCase(java.util.Locale.ROOT))
                        .orElse("");
    }

    /** SHA-256 of the certificate that is shown, {@code AB:CD:…}; empty where TLS is not spoken. */
    public Optional<String> fingerprint() {
        return fingerprint;
    }

    @Override
    public void close() throws IOException {
        server.close();
        chunks.close();
    }

    private final class Requests implements Api {
        @Override
        public Response handle(Request request) throws IOException {
            String path = request.path();
            if (path.equals(CHUNKS)) {
                return request.method().equals("POST") ? several(request) : refuse(405, "names are to be POSTed here");
            }
            int slash = path.indexOf('/', CHUNKS.length() + 1);
            if (!path.startsWith(CHUNKS + "/") || slash < 0) {
                return refuse(404, "there is no such thing");
            }
            if (!request.method().equals("GET")) {
                return refuse(405, "chunks are for reading only");
            }
            KeyDomainId domain;
            ChunkId id;
            try {
                domain = KeyDomainId.parse(path.substring(CHUNKS.length() + 1, slash));
                id = ChunkId.parse(path.substring(slash + 1));
            } catch (IllegalArgumentException e) {
                return refuse(404, "that is no chunk's name");
            }
            Optional<ServedChunks.Answer> found = chunks.one(domain, id);
            if (found.isEmpty()) {
                return refuse(404, "there is no such chunk here");
            }
            return whole(found.get(), request.headers().get("range"));
        }

        private Response several(Request request) throws IOException {
            byte[] names = request.body().readAllBytes();
            ServedChunks.Answer answer;
            try {
                answer = chunks.several(names);
            } catch (IllegalArgumentException e) {
                return refuse(400, String.valueOf(e.getMessage()));
            }
            return new Response(200, SEALED, answer.bytes(), answer.body(), Optional.empty());
        }

        @Override
        public long bodyBytesMax(String method, String path) {
            return path.equals(CHUNKS) ? (long) ServedChunks.NAME_BYTES * ServedChunks.NAMES_MAX : 0;
        }
    }

    private static Api.Response refuse(int status, String why) {
        return Api.Response.bytes(status, "text/plain; charset=utf-8", (why + "\n").getBytes(StandardCharsets.UTF_8));
    }

    /** All of it, or the range of it that was asked for: one that can't be understood is as good as none (RFC 9110 §14.2). */
    private static Api.Response whole(ServedChunks.Answer answer, @Nullable String wanted) throws IOException {
        long[] range = wanted == null ? null : range(wanted, answer.bytes());
        if (range == null) {
            return new Api.Response(200, SEALED, answer.bytes(), answer.body(), Optional.empty());
        }
        if (range[0] > range[1]) {
            answer.body().close();
            return new Api.Response(
                    416,
                    SEALED,
                    0,
                    InputStream.nullInputStream(),
                    Optional.empty(),
                    Optional.of("bytes */" + answer.bytes()));
        }
        byte[] part;
        try (InputStream body = answer.body()) {
            body.skipNBytes(range[0]);
            // A chunk at most.
            part = body.readNBytes((int) (range[1] - range[0] + 1));
        }
        return new Api.Response(
                206,
                SEALED,
                part.length,
                new ByteArrayInputStream(part),
                Optional.empty(),
                Optional.of("bytes " + range[0] + "-" + range[1] + "/" + answer.bytes()));
    }

    /** First and last byte, the first behind the last if there is nothing there; null if it is no single range of bytes. */
    private static long @Nullable [] range(String text, long bytes) {
        List<String> words = List.of(text.strip().split("[=-]", -1));
        if (words.size() != 3 || !words.get(0).equals("bytes")) {
            return null;
        }
        long first = number(words.get(1));
        long last = number(words.get(2));
        if (first == -2 || last == -2 || (first == -1 && last == -1)) {
            return null;
        }
        if (first == -1) {
            return new long[] {Math.max(0, bytes - last), last == 0 ? -1 : bytes - 1};
        }
        if (last != -1 && last < first) {
            return null;
        }
        return new long[] {first, last == -1 ? bytes - 1 : Math.min(last, bytes - 1)};
    }

    /** -1 for nothing, -2 for what is no number. */
    private static long number(String text) {
        if (text.isEmpty()) {
            return -1;
        }
        long value = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < '0' || c > '9' || text.length() > 12) {
                return -2;
            }
            value = value * 10 + c - '0';
        }
        return value;
    }
}
