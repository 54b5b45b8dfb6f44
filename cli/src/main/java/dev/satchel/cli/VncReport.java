package dev.satchel.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.satchel.session.VncAccess;
import java.io.IOException;
import java.net.URI;

/** What {@code view --vnc} prints: for each kind of client what to call, none of it with the password in it, which others could read there. */
record VncReport(String session, VncAccess access) implements Report {
    @Override
    public void fields(JsonGenerator json) throws IOException {
        json.writeStringField("session", session);
        json.writeStringField("address", access.address());
        json.writeNumberField("port", access.port());
        json.writeStringField("user", access.user());
        json.writeStringField("password", access.password());
        json.writeStringField("certificate_sha256", access.fingerprint());
        json.writeStringField("certificate_file", access.certificateFile());
        json.writeStringField("websocket_url", access.webSocketUrl());
    }

    @Override
    public void text(StringBuilder text) {
        String display = access.address() + "::" + access.port();
        text.append("VNC clients on this host come to ")
                .append(access.address())
                .append(" port ")
                .append(access.port())
                .append('\n');
        row(text, "password", access.password() + " (user name, if asked: " + access.user() + ")");
        row(text, "TigerVNC", "vncviewer -Shared " + display);
        row(
                text,
                "encrypted",
                "vncviewer -Shared -SecurityTypes=X509Plain -X509CA=" + access.certificateFile() + " " + display);
        row(text, "Remmina", "remmina -c vnc://" + access.address() + ":" + access.port());
        row(text, "noVNC", "vnc.html#" + noVnc(access.webSocketUrl()));
        row(text, "certificate", "SHA-256 " + access.fingerprint());
        row(
                text,
                "elsewhere",
                "ssh -L " + access.port() + ":" + display.replace("::", ":") + " THIS-HOST, then the same there");
    }

    /** What noVNC's page reads behind its address, where it goes to no server. */
    private static String noVnc(String webSocketUrl) {
        URI url = URI.create(webSocketUrl);
        String path = url.getRawPath().substring(1) + "?" + url.getRawQuery();
        return "host=" + url.getHost() + "&port=" + url.getPort() + "&path="
                + path.replace("?", "%3F").replace("=", "%3D");
    }

    private static void row(StringBuilder text, String name, String value) {
        text.append("  ")
                .append(name)
                .append(" ".repeat(13 - name.length()))
                .append(value)
                .append('\n');
    }
}
