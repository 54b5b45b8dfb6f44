package dev.satchel.session;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import org.jspecify.annotations.Nullable;

/** Directories that this program made, and removes whole. Links are removed, not followed. */
final class DirectoryTree {
    private DirectoryTree() {}

    /** Removes it and what is in it; does nothing when it is not there. Nothing may be mounted in it. */
    static void delete(Path directory) throws IOException {
        if (Files.exists(directory)) {
            deleteContents(directory, directory);
            Files.delete(directory);
        }
    }

    /** Removes what is in it but for {@code kept}. */
    static void deleteContents(Path directory, Path kept) throws IOException {
        Files.walkFileTree(directory, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                if (!file.equals(kept)) {
                    Files.delete(file);
                }
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path visited, @Nullable IOException failure) throws IOException {
                if (failure != null) {
                    throw failure;
                }
                if (!visited.equals(directory)) {
                    Files.delete(visited);
                }
                return FileVisitResult.CONTINUE;
            }
        });
    }
}
