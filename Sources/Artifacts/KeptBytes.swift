internal import SystemPackage

/// What may become of bytes that were kept back (SEMANTICS 3.1).
public enum KeptBytes {
    /// The longest reason for publishing them all the same, in bytes.
    public static let longestReason = 1024

    /// Whether they may be cut although their check finds nothing: who made them failed, or a write did, or it is not known why they are
    /// here. What a check refused, and what came second for a name, is all that its writer meant to leave.
    ///
    /// - Parameter rule: the one that they were kept back by; nil when it is not known.
    public static func mayBeCut(keptBy rule: Rule?) -> Bool {
        switch rule {
        case .failedCheck?, .anotherWriter?: false
        default: true
        }
    }

    /// Judges publishing them; every check comes after it, whatever is said here.
    ///
    /// - Parameters:
    ///   - rule: the one that they were kept back by; nil when it is not known.
    ///   - reason: why they are to be published all the same; blanks are none.
    public static func judgePublishing(keptBy rule: Rule?, despite reason: String?) -> Verdict {
        guard mayBeCut(keptBy: rule), !isReason(reason) else { return .allowed }
        return .refused(Refusal(.notPermitted, .needsReason))
    }

    /// Whether a text says something.
    public static func isReason(_ text: String?) -> Bool {
        text?.unicodeScalars.contains { !$0.properties.isWhitespace && $0.properties.generalCategory != .control }
            ?? false
    }
}

extension OverwritePolicy {
    /// Judges an action on a file or a directory of quarantine, by who may know of it: it is read, it goes away whole, and it never changes.
    public static func judgeKept(_ action: Action, isDirectory: Bool) -> Verdict {
        switch action {
        case .operation(.renameFrom): .allowed
        case .operation(.unlink) where !isDirectory: .allowed
        case .removeDirectory where isDirectory: .allowed
        default: judgeInKept(action, isDirectory: isDirectory)
        }
    }

    /// Judges an action on what is in a directory of quarantine: nothing in it goes by itself, so that what is left of it is never taken for a
    /// whole.
    public static func judgeInKept(_ action: Action, isDirectory: Bool) -> Verdict {
        if isDirectory {
            return switch action {
            case .operation(.renameFrom), .operation(.exchange), .operation(.setAttributes), .operation(.setOwner),
                .operation(.setExtendedAttribute), .removeDirectory:
                .refused(Refusal(.notPermitted, .keptBack))
            default: onDirectory(action)
            }
        }
        return switch action {
        case .operation(.openToRead): .allowed
        case .operation(.link): .refused(Refusal(.notPermitted, .noLinks))
        case .creation(.directory), .creation(.symbolicLink), .creation(.specialFile):
            .refused(Refusal(.fileExists, .posix))
        case .removeDirectory: .refused(Refusal(.notDirectory, .posix))
        case .operation, .creation(.file): .refused(Refusal(.notPermitted, .keptBack))
        }
    }

    /// Judges making something in a directory of quarantine, or doing something to what is not there.
    public static func judgeMakingInKept(_ action: Action) -> Verdict {
        switch action {
        case .creation, .operation(.openTruncating), .operation(.openToWrite), .operation(.renameOnto):
            .refused(Refusal(.notPermitted, .keptBack))
        case .operation, .removeDirectory: .refused(Refusal(.noSuchFileOrDirectory, .posix))
        }
    }
}
