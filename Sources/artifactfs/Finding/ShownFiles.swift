import Artifacts
import SystemCalls
import SystemPackage

/// Whether the files of artifacts are there.
struct ShownFiles {
    let place: StorePlace
    private let schema: ArtifactSchema

    init(_ place: StorePlace, _ schema: ArtifactSchema) { (self.place, self.schema) = (place, schema) }

    /// Where an artifact is for this user.
    func location(of path: String) -> String { place.location(of: path, schema) }

    /// Where it cannot be looked at, it is taken to be there. No mount is asked: what its user cannot see is not told anyway.
    func isThere(_ path: String) -> Bool {
        guard let store = place.store else { return true }
        let real = store + "/" + schema.realPath(ofShown: path)
        do throws(Errno) {
            _ = try SystemCall.attributes(SystemCall.currentDirectory, real)
            return true
        } catch { return error != .noSuchFileOrDirectory && error != .notDirectory }
    }
}
