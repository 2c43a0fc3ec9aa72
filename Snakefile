# The workflow is in workflow/. An included file sets no default target, hence the second line.
include: "workflow/Snakefile"


workflow.default_target = "all"
