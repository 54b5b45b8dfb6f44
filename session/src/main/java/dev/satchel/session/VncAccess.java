package dev.satchel.session;

/**
 * How VNC clients come to a session that runs here.
 *
 * @param address of this host that is listened at
 * @param user whatever clients send as a user's name is right; this if they must send one
 * @param password as a whole inside of TLS; without, its first eight characters count
 * @param fingerprint of the certificate, SHA-256, {@code AB:CD:…}
 * @param certificateFile where it lies on this host, PEM
 * @param webSocketUrl for clients in browsers, with a secret in it
 */
public record VncAccess(
        String address,
        int port,
        String user,
        String password,
        String fingerprint,
        String certificateFile,
        String webSocketUrl) {
    @Override
    public String toString() {
        return "VNC at " + address + ":" + port;
    }
}
