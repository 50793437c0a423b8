import Testing

@testable import Artifacts

/// Types for files that no type claims: each claims what it is made for.
@Suite struct TypeSuggestionTests {
    private func lines(_ files: [(directory: String, name: String)], taken: Set<String> = []) -> [String] {
        TypeSuggestion.all(for: files, in: .base, .assemblies) { taken.contains($0) }.map(\.line)
    }

    @Test func namesSayWhatTheyAre() {
        let files = [
            (".", "scores_chr1.tsv"), (".", "scores_chr2.tsv.gz"), (".", "my_scores_chrUn_KI270742v1.tsv"),
            (".", "report.pdf"),
            ("models", "a.onnx"), ("models", "b.pb"), (".", "chr1.tsv"), (".", ".hidden"), (".", "none"), (".", "dot."),
        ].map { (directory: $0.0, name: $0.1) }
        #expect(
            lines(files, taken: ["report"]) == [
                #"chr1: {layers: [base], formats: [".tsv"], directory: ".", names: whole}"#,
                #"my_scores: {layers: [base], formats: [".tsv"], directory: ".", names: chromosome}"#,
                #"report_files: {layers: [base], formats: [".pdf"], directory: ".", names: whole}"#,
                #"scores: {layers: [base], formats: [".tsv", ".tsv.gz"], directory: ".", names: chromosome}"#,
                #"models: {layers: [base], formats: [".onnx", ".pb"], directory: "models", names: free}"#,
            ])
        #expect(lines([]).isEmpty)
    }
}
