package dev.satchel.session;

/**
 * How browsers on other computers come to a session that runs here.
 *
 * @param url with a secret in it
 * @param fingerprint of the certificate that they are shown, SHA-256, {@code AB:CD:…}
 * @param ownCertificate whether it is this host's own, about which browsers ask at the first time
 */
public record RemoteAccess(String url, String fingerprint, boolean ownCertificate) {
    @Override
    public String toString() {
        return "viewers by TLS, certificate " + fingerprint;
    }
}
