public import ArtifactFormats
public import Artifacts

extension TypeDefinition {
    /// The check for its files of a format; nil when its checks are off.
    public func check(ofFormat format: String) -> FormatCheck? {
        guard isChecked else { return nil }
        return FormatCheck(
            fileExtension: format,
            table: TableForm(
                comment: table.comment.flatMap { TableForm.Comment(rawValue: $0) }, hasHeader: table.hasHeader,
                hasQuotes: table.quotes == .csv))
    }
}
