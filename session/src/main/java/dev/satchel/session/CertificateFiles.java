package dev.satchel.session;

import java.nio.file.Path;

/**
 * A certificate that was given, to be shown instead of the host's own.
 *
 * @param chain PEM (RFC 7468), the host's certificate first
 * @param key PEM, PKCS #8, not encrypted
 */
public record CertificateFiles(Path chain, Path key) {}
