package dev.satchel.session;

import java.time.Instant;

/** An image as {@code image ls} shows it; {@code bytes} are of its files, before deduplication and compression. */
public record ImageInfo(String image, long bytes, Instant created) {}
