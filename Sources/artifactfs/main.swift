print("artifactfs")
