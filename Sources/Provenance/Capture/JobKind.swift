internal import ArtifactRecords

/// Which kind of job a process belongs to, by what it and its ancestors are called.
enum JobKind {
    /// The nearest that is known: a workflow's engine, a notebook, a scheduler, and a shell where there is nothing else.
    ///
    /// - Parameter chain: the process, and its ancestors from the nearest on.
    static func kind(of chain: [ProcessImage]) -> String? {
        if chain.contains(where: { $0.environment?["ARTIFACTFS_RUN"] != nil }) { return "run" }
        if let engine = chain.lazy.compactMap(engine).first { return engine }
        if let scheduler = chain.lazy.compactMap({ scheduler($0)?.kind }).first { return scheduler }
        return chain.contains(where: isShell) ? "shell" : nil
    }

    /// The job's name at its scheduler, such as `slurm:4711_3`.
    static func schedulerID(of chain: [ProcessImage]) -> String? {
        chain.lazy.compactMap(scheduler).first.map { "\($0.kind):\($0.id)" }
    }

    private static func engine(_ image: ProcessImage) -> String? {
        let words = image.arguments ?? []
        // The program, or the script or module that an interpreter runs.
        for word in words.prefix(4).map(base) {
            switch word {
            case "snakemake": return "snakemake"
            case "nextflow", ".command.run", ".command.sh": return "nextflow"
            case "make", "gmake": return "make"
            case "ninja": return "ninja"
            case "ipykernel_launcher", "ipykernel", "jupyter-lab", "jupyter-notebook", "jupyter", "rsession":
                return "notebook"
            case "cwltool", "toil", "cromwell", "dvc", "luigi", "airflow", "redun": return word
            default: continue
            }
        }
        return nil
    }

    private static func scheduler(_ image: ProcessImage) -> (kind: String, id: String)? {
        func value(_ name: String) -> String? { image.environment?[name]?.string.flatMap { $0.isEmpty ? nil : $0 } }
        if let id = value("SLURM_JOB_ID") {
            if let array = value("SLURM_ARRAY_JOB_ID"), let task = value("SLURM_ARRAY_TASK_ID") {
                return ("slurm", "\(array)_\(task)")
            }
            return ("slurm", id)
        }
        if let id = value("PBS_JOBID") { return ("pbs", id) }
        if let id = value("LSB_JOBID") { return ("lsf", id) }
        if let id = value("JOB_ID") {
            let task = value("SGE_TASK_ID").flatMap { $0 == "undefined" ? nil : $0 }
            return ("sge", task.map { "\(id).\($0)" } ?? id)
        }
        return nil
    }

    private static func isShell(_ image: ProcessImage) -> Bool {
        let names = [image.program, image.arguments?.first].compactMap { $0.map(base) }
        return names.contains { shells.contains($0.utf8.first == UInt8(ascii: "-") ? String($0.dropFirst()) : $0) }
    }

    /// The names of shells' programs.
    static let shells: Set<String> = [
        "sh", "bash", "dash", "zsh", "ksh", "mksh", "fish", "tcsh", "csh", "busybox", "ash", "nu", "xonsh",
    ]

    /// Those that write a here-document themselves, into a pipe that is their own standard input until the command has begun (dash, which is `sh`
    /// on Debian; tried with 0.5.12).
    static let writesDocumentsItself: Set<String> = ["sh", "dash"]

    private static func base(_ path: String) -> String {
        path.utf8.split(separator: UInt8(ascii: "/")).last.flatMap { String($0) } ?? path
    }
}
