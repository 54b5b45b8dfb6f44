package dev.satchel.linux;

import java.nio.file.Path;

/**
 * One mount as this process sees it, proc_pid_mountinfo(5).
 *
 * @param id unique as long as it is mounted
 * @param parentId the mount that it is mounted on
 * @param major of the file system's device
 * @param minor of the file system's device
 * @param root the directory of the file system that is seen at the target
 * @param target where it is mounted
 * @param options of the mount, such as {@code rw,nosuid}
 * @param propagation such as {@code shared:2}, empty for a private mount
 * @param type of the file system, such as {@code ext4}
 * @param source the device, or a name without meaning
 * @param superOptions of the file system
 */
public record Mount(
        int id,
        int parentId,
        int major,
        int minor,
        String root,
        Path target,
        String options,
        String propagation,
        String type,
        String source,
        String superOptions) {}
