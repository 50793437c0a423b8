/// What a directory takes, in words: for people who tried something else.
extension Place {
    /// The names that can be made here, and one of them; nil where any name can, or none.
    public var names: (words: String, example: String)? {
        switch self {
        case .typed(let type): (type.nameHint, type.exampleName)
        case .plots: ("<name>(" + UntypedDirectory.plotFormats.joined(separator: "|") + ")", "loss.png")
        case .scopeRoot: (StoreLayout.metadataName, StoreLayout.metadataName)
        case .sessions: ("sessions, made with mkdir: YYYYMMDD_HHMMSS, a time in UTC", "mkdir 20260215_143022")
        case .tests:
            (
                "tests, made with mkdir: a letter or digit, then letters, digits, '.', '_', '-', at most 200 bytes",
                "mkdir test_prediction"
            )
        case .fixed, .production, .ordinaryTree, .hidden: nil
        }
    }
}

extension TypeDefinition {
    /// A name that a file of this type may have.
    var exampleName: String {
        let format = formats.first ?? ""
        return switch naming {
        case .whole: name + format
        case .chromosome: chromosomes.hint.example + format
        case .free: "epoch_001" + format
        }
    }
}

extension Refusal {
    /// What to do instead, where it is known in which directory, and what was tried.
    public func wayOut(in place: Place, of action: Action? = nil) -> String {
        if rule == .fixedDirectory {
            switch action {
            case .operation(.setAttributes)?, .operation(.setOwner)?:
                return "change the mode or owner of the real directory, which this one shows"
            case .operation(.renameFrom)?, .operation(.exchange)?:
                return "copy what is in it; directories with names of your own go into scratch/ or logs/"
            case .removeDirectory?: return "leave it, it is always there; a test is removed whole: 'rm -r test/NAME'"
            default: return wayOut
            }
        }
        guard rule == .invalidName else { return wayOut }
        switch place {
        case .fixed, .production:
            return "make it in the directory of an artifact's type, <layer>/<type>/; 'ls' shows them"
        case .scopeRoot:
            return "name it \(StoreLayout.metadataName), or make it in a directory that 'ls' shows, such as scratch/"
        case .typed, .plots, .sessions, .tests:
            guard let names = place.names else { return wayOut }
            return "use a name that this directory takes: \(names.words); for example: \(names.example)"
        case .ordinaryTree, .hidden: return wayOut
        }
    }
}
