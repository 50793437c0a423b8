internal import Artifacts

/// Which session somebody had, and from when on: a user, or a process, by the numbers of `ProcessBirth`.
struct SessionHistory: Sendable {
    private var first: SessionName
    private var moves: [(number: UInt64, session: SessionName)] = []
    /// Who begins more of them one after the other than this has forgotten the first.
    private static let most = 4096

    init(_ first: SessionName) { self.first = first }

    /// The one that it is now.
    var now: SessionName { moves.last?.session ?? first }

    /// The one that it was when a process was made.
    func session(at number: UInt64) -> SessionName {
        moves.last { $0.number <= number }?.session ?? first
    }

    /// - Parameter number: what has it or a higher one is made from now on.
    mutating func move(to session: SessionName, at number: UInt64) {
        if moves.count >= Self.most { first = moves.removeFirst().session }
        moves.append((number, session))
    }
}
