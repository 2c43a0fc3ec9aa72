# The ledger of ours against published and true numbers, and the report that opens with it.
localrules:
    write_ledger,
    write_report,


rule write_ledger:
    input:
        numbers=collect(
            "<results>/{run}/data/numbers.json",
            run=RUNS if HAS_LINE_OF_SIGHT else [],
        ),
        recovered=truths(),
        potentials=collect(
            "<results>/{case}/data/numbers.json",
            case=CASES if "conditional_potential" in SETTINGS.studies else [],
        ),
        nearby=nearby_numbers(),
    output:
        json="<results>/ledger.json",
        parquet="<results>/ledger.parquet",
    log:
        "<logs>/write_ledger.log",
    benchmark:
        "<benchmarks>/write_ledger.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        beside_head=1,
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        settings=SETTINGS.model_dump(mode="json"),
        variants=list(RUNS.values()),
        cases=list(CASES.values()),
        published={study: published(study) for study in SETTINGS.studies},
        code=code("write_ledger"),
    message:
        "Compare every number with paper and truth"
    script:
        "../../scripts/write_ledger.py"


rule write_report:
    input:
        ledger="<results>/ledger.json",
        png=figures("png"),
        pdf=figures("pdf"),
        data=figures("parquet"),
        tables=[*tables("csv"), *sky_properties()],
        clean_stars=parts_of_stars("<results>/catalogs/stars/part-{part}.json"),
        select_line_of_sight=parts_of_stars(
            "<results>/line_of_sight/sample/part-{part}.json"
        ),
    output:
        "<results>/report/index.html",
    log:
        "<logs>/write_report.log",
    benchmark:
        "<benchmarks>/write_report.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        beside_head=1,
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        settings=SETTINGS.model_dump(mode="json"),
        root=str(ROOT),
        captions=CAPTIONS,
        papers={study: published(study)["paper"] for study in SETTINGS.studies},
        registry=digest(ROOT / "config" / "registry.yaml"),
        template=digest(ROOT / "src" / "mwatlas" / "report" / "page.html.j2"),
        benchmarks=f"results/{SETTINGS.release}/benchmarks",
        code=code("write_report"),
    message:
        "Write the report"
    script:
        "../../scripts/write_report.py"
