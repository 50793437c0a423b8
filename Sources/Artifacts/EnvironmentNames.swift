/// Which members of a writer's environment its record has: no other is kept.
public struct EnvironmentNames: Hashable, Sendable {
    /// Whole names, or patterns with `*`.
    public let patterns: [NamePattern]

    /// Names that a schema chooses; none with no pattern.
    public init(_ patterns: [NamePattern]) { self.patterns = patterns }

    /// Whether a member of that name is kept.
    public func contains(_ name: String) -> Bool { patterns.contains { $0.matches(name) } }

    /// Those that say to which job of a scheduler or a workflow a process belongs, and in which environment its programs are.
    public static let builtIn = EnvironmentNames(
        [
            "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_STEP_ID", "SLURM_PROCID",
            "SLURM_CLUSTER_NAME", "SLURM_JOB_NAME", "JOB_ID", "JOB_NAME", "SGE_TASK_ID", "PBS_JOBID", "PBS_ARRAYID",
            "PBS_ARRAY_INDEX", "PBS_JOBNAME", "LSB_JOBID", "LSB_JOBINDEX", "CONDA_DEFAULT_ENV", "CONDA_PREFIX",
            "VIRTUAL_ENV", "NXF_VER", "NXF_SESSION_ID", "NXF_TASK_HASH", "SNAKEMAKE_PROFILE", "LOADEDMODULES",
            "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "CUDA_VISIBLE_DEVICES", "ARTIFACTFS_SESSION",
            "ARTIFACTFS_RUN",
        ].compactMap { NamePattern($0) })
}
