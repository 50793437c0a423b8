import ArgumentParser
import ArtifactStore
import Artifacts
import Glibc
import ObjectStorage
import SystemCalls
import SystemPackage

/// The process by which a driver brings evicted artifacts back; for the driver only. It fills files that it gets open, by a socket that is its
/// standard input, as the store's owner, and ends with it.
struct RecallArtifactsCommand: ParsableCommand {
    static let name = "recall-artifacts"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    @Argument var store: String

    func run() throws {
        SystemCall.setProcessName("artifact-recall")
        chdir("/")
        // Who opens an artifact as root asks no server as root.
        do throws(Errno) { try Self.becomeOwner(of: store) } catch {
            return RecallService.serve(socket: 0) { _, _, _ in
                .failed("the process cannot become the store's owner: \(error)", isFull: false)
            }
        }
        var buckets: [String: Bucket] = [:]
        RecallService.serve(socket: 0) { real, mark, file in
            do {
                let bucket = try buckets[mark.mirror] ?? MirrorPlace.find(mark.mirror, of: store).bucket()
                buckets[mark.mirror] = bucket
                let key = MirrorInventory.key(ofReal: real, sha256: mark.sha256)
                try MirrorFetch(bucket: bucket, key: key, mark: mark, store: store).run(to: file)
                return .done(key: key)
            } catch let obstacle as EvictionObstacle {
                // What the bucket was asked with may be what is wrong.
                buckets[mark.mirror] = nil
                if case .system(_, let error) = obstacle {
                    return .failed(obstacle.words, isFull: DiskRoom.isForWantOfRoom(error))
                }
                return .failed(obstacle.words, isFull: false)
            } catch let failure as Failure {
                buckets[mark.mirror] = nil
                return .failed(failure.text, isFull: false)
            } catch { return .failed("\(error)", isFull: false) }
        }
    }

    private static func becomeOwner(of store: String) throws(Errno) {
        guard geteuid() == 0 else { return }
        let owner = try SystemCall.attributes(
            SystemCall.currentDirectory, store + "/" + StoreLayout.privateDirectory)
        guard owner.st_uid != 0 else { return }
        guard setgroups(0, nil) == 0, setgid(owner.st_gid) == 0,
            setuid(owner.st_uid) == 0
        else { throw Errno(rawValue: errno) }
        // Profiles are the owner's, too; what is in the environment counts before them.
        setenv("HOME", SystemCall.homeDirectory(owner.st_uid) ?? "/", 1)
    }
}
