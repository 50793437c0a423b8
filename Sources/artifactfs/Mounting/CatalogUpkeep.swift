import ArgumentParser
import ArtifactStore
import Catalog
import Glibc
import SystemCalls
import SystemPackage

/// A mount that keeps its store's catalog up to date, where there is one: when much was published, and never while nothing is.
///
/// The driver knows no catalog: a process of its own does it, when nobody else wants the processor.
enum CatalogUpkeep {
    /// Some thousand artifacts, in bytes of the ledger: a command takes them up in a tenth of a second.
    private static let step: Int64 = 4 << 20

    static func start(_ store: Store, at path: String) {
        guard let growth = store.ledgerGrowth(every: step) else { return }
        let thread = WorkerThread(name: "artifactfs-cat") {
            while true {
                growth.wait()
                guard let output = try? SystemCall.open(SystemCall.currentDirectory, "/dev/null", O_WRONLY) else {
                    continue
                }
                defer { SystemCall.close(output) }
                let words = ["artifactfs", CatalogUpkeepCommand.name, "--store", path]
                if let process = try? SystemCall.start("/proc/self/exe", words, output: output) {
                    _ = try? SystemCall.wait(for: process)
                }
            }
        }
        thread?.detach()
    }
}

/// Brings a catalog up to date that is there; for the driver only.
struct CatalogUpkeepCommand: ParsableCommand {
    static let name = "catalog-upkeep"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    @OptionGroup var store: StoreArguments

    func run() throws {
        SystemCall.setProcessName("artifact-cat")
        _ = nice(19)
        // What is wrong with it, who asks it is told.
        if let nothing = try? SystemCall.open(SystemCall.currentDirectory, "/dev/null", O_WRONLY) {
            SystemCall.duplicate(nothing, to: FileDescriptor(rawValue: 2))
        }
        guard let place = try? store.place(), let path = place.store, Catalog.isKept(of: path) else { return }
        try? place.asking { _ in }
    }
}
