package dev.satchel.display.web;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateNotYetValidException;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Enumeration;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;

/** What a host shows to browsers by TLS: a certificate and its key. Thread-safe. */
public final class TlsIdentity {
    private static final String FILE = "viewer.p12";
    /** What keeps the key is the file's mode: a password would have to lie beside it. PKCS #12 wants one. */
    private static final String PASSWORD = "satchel";

    private static final int DAYS = 3650;
    private static final int KEYTOOL_SECONDS_MAX = 30;

    static {
        // No tickets to resume TLS 1.3 by: TigerVNC's viewer (1.12) waits for ever if one comes together with the first
        // bytes
        // from the server, which it then holds in its buffer and does not look at. Read when Java first uses TLS.
        System.setProperty("jdk.tls.server.newSessionTicketCount", "0");
    }

    private final SSLContext context;
    private final X509Certificate certificate;

    private TlsIdentity(KeyStore store, char[] password) throws IOException {
        try {
            X509Certificate found = null;
            Enumeration<String> aliases = store.aliases();
            while (aliases.hasMoreElements() && found == null) {
                String alias = aliases.nextElement();
                if (store.isKeyEntry(alias)) {
                    found = (X509Certificate) store.getCertificate(alias);
                }
            }
            if (found == null) {
                throw new IOException("it holds no key with a certificate");
            }
            certificate = found;
            KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
            keys.init(store, password);
            context = SSLContext.getInstance("TLS");
            context.init(keys.getKeyManagers(), null, null);
        } catch (GeneralSecurityException e) {
            throw new IOException(e.getMessage(), e);
        }
    }

    /**
     * This host's own, which is made at the first use and whenever it has expired; browsers ask whether it is to be trusted.
     *
     * @param directory the host's state directory
     * @param names and addresses that the certificate is for if it is made now
     */
    public static TlsIdentity own(Path directory, Collection<String> names) throws IOException {
        Path file = directory.resolve(FILE);
        if (Files.exists(file)) {
            TlsIdentity identity = pkcs12(file, PASSWORD.toCharArray());
            if (!identity.hasExpired()) {
                return identity;
            }
            Files.delete(file);
        }
        Path made = Files.createTempDirectory(
                directory,
                "viewer-",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Path fresh = made.resolve(FILE);
        try {
            generate(fresh, names);
            Files.setPosixFilePermissions(fresh, PosixFilePermissions.fromString("rw-------"));
            try {
                // Whoever is first has made it.
                Files.createLink(file, fresh);
            } catch (FileAlreadyExistsException e) {
                // Another session's supervisor was.
            }
        } finally {
            Files.deleteIfExists(fresh);
            Files.delete(made);
        }
        return pkcs12(file, PASSWORD.toCharArray());
    }

    private static void generate(Path file, Collection<String> names) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "viewer",
                "-keyalg",
                "EC",
                "-groupname",
                "secp256r1",
                "-sigalg",
                "SHA256withECDSA",
                "-validity",
                Integer.toString(DAYS),
                "-dname",
                "CN=Satchel viewer",
                "-storetype",
                "PKCS12",
                "-storepass",
                PASSWORD,
                "-keystore",
                file.toString()));
        StringBuilder alternatives = new StringBuilder();
        for (String name : names) {
            boolean address = name.indexOf(':') >= 0 || isIpv4(name);
            alternatives
                    .append(alternatives.isEmpty() ? "SAN=" : ",")
                    .append(address ? "IP:" : "DNS:")
                    .append(name);
        }
        if (!alternatives.isEmpty()) {
            command.add("-ext");
            command.add(alternatives.toString());
        }
        Path said = file.resolveSibling("keytool.out");
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(said.toFile())
                    .redirectInput(
                            ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                    .start();
            boolean ended = false;
            try {
                ended = process.waitFor(KEYTOOL_SECONDS_MAX, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } finally {
                process.destroyForcibly();
            }
            if (!ended || process.exitValue() != 0) {
                throw new IOException("no certificate could be made: keytool "
                        + (ended ? "said: " + Files.readString(said).strip() : "did not end in time"));
            }
        } finally {
            Files.deleteIfExists(said);
        }
    }

    private static boolean isIpv4(String name) {
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if (c != '.' && (c < '0' || c > '9')) {
                return false;
            }
        }
        return true;
    }

    /** One that was given, with its key, as PKCS #12 (RFC 7292). */
    public static TlsIdentity pkcs12(Path file, char[] password) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(in, password);
            return new TlsIdentity(store, password);
        } catch (IOException | GeneralSecurityException e) {
            throw new IOException(file + " can't be used for TLS: " + e.getMessage(), e);
        }
    }

    /**
     * One that was given as PEM (RFC 7468).
     *
     * @param certificates the host's first, then those that vouch for it
     * @param key PKCS #8, not encrypted ({@code BEGIN PRIVATE KEY}); elliptic curve, RSA or Ed25519
     */
    public static TlsIdentity pem(Path certificates, Path key) throws IOException {
        try {
            List<Certificate> chain = new ArrayList<>();
            try (InputStream in = Files.newInputStream(certificates)) {
                chain.addAll(CertificateFactory.getInstance("X.509").generateCertificates(in));
            }
            if (chain.isEmpty()) {
                throw new IOException("it holds no certificate");
            }
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, null);
            store.setKeyEntry(
                    "viewer",
                    privateKey(key, chain.getFirst()),
                    PASSWORD.toCharArray(),
                    chain.toArray(new Certificate[0]));
            return new TlsIdentity(store, PASSWORD.toCharArray());
        } catch (IOException | GeneralSecurityException e) {
            throw new IOException(certificates + " with " + key + " can't be used for TLS: " + e.getMessage(), e);
        }
    }

    private static PrivateKey privateKey(Path file, Certificate certificate)
            throws IOException, GeneralSecurityException {
        String begin = "-----BEGIN PRIVATE KEY-----";
        String text = Files.readString(file, StandardCharsets.ISO_8859_1);
        int start = text.indexOf(begin);
        int end = text.indexOf("-----END PRIVATE KEY-----");
        if (start < 0 || end < start) {
            throw new IOException(
                    "the key is not PKCS #8 without a passphrase: openssl pkcs8 -topk8 -nodes makes it so");
        }
        byte[] bytes = Base64.getMimeDecoder().decode(text.substring(start + begin.length(), end));
        return KeyFactory.getInstance(certificate.getPublicKey().getAlgorithm())
                .generatePrivate(new PKCS8EncodedKeySpec(bytes));
    }

    private boolean hasExpired() {
        try {
            certificate.checkValidity();
            return false;
        } catch (CertificateExpiredException | CertificateNotYetValidException e) {
            return e instanceof CertificateExpiredException;
        }
    }

    /** SHA-256 of the certificate, as browsers show it: {@code AB:CD:…}. */
    public String fingerprint() {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded());
            return HexFormat.ofDelimiter(":").withUpperCase().formatHex(hash);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("a certificate without a form", e);
        }
    }

    /** For clients that are to trust it and nothing else. */
    public X509Certificate certificate() {
        return certificate;
    }

    /** The certificate as such clients read it, PEM (RFC 7468). */
    public String pem() {
        try {
            return "-----BEGIN CERTIFICATE-----\n"
                    + Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(certificate.getEncoded())
                    + "\n-----END CERTIFICATE-----\n";
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("a certificate without a form", e);
        }
    }

    /** Agrees with a peer on a connection's keys, within a time in all. Closing {@code raw} ends it, and never waits. */
    public Socket accept(Socket raw, int millisMax) throws IOException {
        SSLSocket socket =
                (SSLSocket) context.getSocketFactory().createSocket(raw, new ByteArrayInputStream(new byte[0]), true);
        socket.setUseClientMode(false);
        socket.setEnabledProtocols(new String[] {"TLSv1.3", "TLSv1.2"});
        // A time for each read would be a peer's that sends byte after byte.
        Thread patience = Thread.ofVirtual().name("tls-patience").start(() -> closeIn(raw, millisMax));
        try {
            socket.startHandshake();
        } finally {
            patience.interrupt();
        }
        return socket;
    }

    private static void closeIn(Socket socket, int millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            return; // it was in time
        }
        ViewerServer.closeQuietly(socket);
    }
}
