# Kalda & Green (2026): the potential without a selection function, on a mock of its own, which no
# release changes. `{case}` is the study itself or one of its variants.
rule obscure_conditional_potential:
    input:
        like=plan_to_keep,
    output:
        dust="<results>/{case}/mock/dust.h5",
        extinction="<results>/{case}/mock/extinction.h5",
        plan="<results>/{case}/mock/plan.json",
    log:
        "<logs>/obscure_conditional_potential/{case}.log",
    benchmark:
        "<benchmarks>/obscure_conditional_potential/{case}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        mock=section_of_case("mock"),
        seed=SETTINGS.seed,
        code=code("obscure_conditional_potential"),
    message:
        "Make the dust of {wildcards.case}"
    script:
        "../../scripts/obscure_conditional_potential.py"


rule draw_conditional_potential:
    input:
        extinction="<results>/{case}/mock/extinction.h5",
        plan="<results>/{case}/mock/plan.json",
    output:
        stars="<results>/{case}/mock/stars/part-{part}.parquet",
        truth="<results>/{case}/mock/truth/part-{part}.parquet",
        counts="<results>/{case}/mock/counts/part-{part}.json",
    log:
        "<logs>/draw_conditional_potential/{case}/part-{part}.log",
    benchmark:
        "<benchmarks>/draw_conditional_potential/{case}/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(60),
    params:
        mock=section_of_case("mock"),
        partitions=len(MOCK_PARTS),
        seed=SETTINGS.seed,
        code=code("draw_conditional_potential"),
    message:
        "Draw part {wildcards.part} of the mock's stars for {wildcards.case}"
    script:
        "../../scripts/draw_conditional_potential.py"


rule train_conditional_potential:
    input:
        stars=mock_parts("stars"),
        truth=mock_parts("truth"),
    output:
        model="<results>/models/{case}/{flow}-{member}.h5",
        record="<results>/models/{case}/{flow}-{member}.json",
    log:
        "<logs>/train_conditional_potential/{case}/{flow}-{member}.log",
    benchmark:
        "<benchmarks>/train_conditional_potential/{case}/{flow}-{member}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500, per_input_mb=8),
        runtime=minutes(720),
        gpu=SETTINGS.gpus,
    params:
        flows=settings_of_flow,
        seed=SETTINGS.seed,
        code=code("train_conditional_potential"),
    message:
        "Train flow {wildcards.member} of {wildcards.flow} for {wildcards.case}"
    script:
        "../../scripts/train_conditional_potential.py"


rule distil_conditional_potential:
    input:
        flow="<results>/models/{case}/{flow}-{member}.h5",
        stars=mock_parts("stars"),
    output:
        model="<results>/models/{case}/{flow}-{member}-quick.h5",
        record="<results>/models/{case}/{flow}-{member}-quick.json",
    log:
        "<logs>/distil_conditional_potential/{case}/{flow}-{member}.log",
    benchmark:
        "<benchmarks>/distil_conditional_potential/{case}/{flow}-{member}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500, per_input_mb=4),
        runtime=minutes(240),
        gpu=SETTINGS.gpus,
    params:
        flows=settings_of_quick,
        radius_kpc=radius_of_case,
        seed=SETTINGS.seed,
        code=code("distil_conditional_potential"),
    message:
        "Distil flow {wildcards.member} of {wildcards.flow} for {wildcards.case}"
    script:
        "../../scripts/distil_conditional_potential.py"


rule solve_conditional_potential:
    input:
        flows=flows_of_method(".h5"),
        quick=flows_of_method("-quick.h5"),
        stars=mock_parts("stars"),
    output:
        model="<results>/models/{case}/{method}-{member}.h5",
        record="<results>/models/{case}/{method}-{member}.json",
    log:
        "<logs>/solve_conditional_potential/{case}/{method}-{member}.log",
    benchmark:
        "<benchmarks>/solve_conditional_potential/{case}/{method}-{member}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000, per_input_mb=4),
        runtime=minutes(720),
        gpu=SETTINGS.gpus,
    params:
        device=device_of_case,
        sampling=section_of_case("sampling"),
        solver=solver_of_method,
        learned=lambda wildcards: learned_by(wildcards.method),
        radius_kpc=radius_of_case,
        seed=SETTINGS.seed,
        code=code("solve_conditional_potential"),
    message:
        "Find potential {wildcards.member} of the {wildcards.method} method for {wildcards.case}"
    script:
        "../../scripts/solve_conditional_potential.py"


rule evaluate_conditional_potential:
    input:
        dust="<results>/{case}/mock/dust.h5",
        extinction="<results>/{case}/mock/extinction.h5",
        stars=mock_parts("stars"),
        positions=flows_of_case(".h5", positions_in_case),
        velocities=flows_of_case("-quick.h5", velocities_in_case),
        flow_records=flows_of_case(".json", learned_in_case),
        quick_records=flows_of_case("-quick.json", velocities_in_case),
        potentials=potentials_of_case(".h5"),
        potential_records=potentials_of_case(".json"),
    output:
        points="<results>/{case}/evaluated/points.parquet",
        profile="<results>/{case}/evaluated/profile.parquet",
        plane="<results>/{case}/evaluated/plane.parquet",
        sky="<results>/{case}/evaluated/sky.parquet",
        phase="<results>/{case}/evaluated/phase.parquet",
        networks="<results>/{case}/evaluated/networks.parquet",
    log:
        "<logs>/evaluate_conditional_potential/{case}.log",
    benchmark:
        "<benchmarks>/evaluate_conditional_potential/{case}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500, per_input_mb=4),
        runtime=minutes(240),
        gpu=SETTINGS.gpus,
    params:
        study=settings_to_evaluate,
        learned=learned_in_case,
        positions=positions_in_case,
        seed=SETTINGS.seed,
        code=code("evaluate_conditional_potential"),
    message:
        "Set the fields of {wildcards.case} beside the truth"
    script:
        "../../scripts/evaluate_conditional_potential.py"


rule measure_conditional_potential:
    input:
        tables=evaluated_of("{case}"),
        counts=mock_parts("counts", "json"),
    output:
        "<results>/{case}/data/numbers.json",
    log:
        "<logs>/measure_conditional_potential/{case}.log",
    benchmark:
        "<benchmarks>/measure_conditional_potential/{case}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        study=settings_of_case,
        code=code("measure_conditional_potential"),
    message:
        "Measure {wildcards.case}"
    script:
        "../../scripts/measure_conditional_potential.py"


rule summarise_conditional_potential:
    input:
        tables=evaluated_of("conditional_potential"),
        numbers="<results>/conditional_potential/data/numbers.json",
        dust_free=evaluated_of(DUST_FREE) if DUST_FREE in CASES else [],
        dust_free_numbers=(
            f"<results>/{DUST_FREE}/data/numbers.json" if DUST_FREE in CASES else []
        ),
    output:
        **{
            figure: f"<results>/conditional_potential/data/{figure}.parquet"
            for figure in FIGURES["conditional_potential"]
            if figure <= "fig07"
        },
    log:
        "<logs>/summarise_conditional_potential.log",
    benchmark:
        "<benchmarks>/summarise_conditional_potential.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        study=case_settings("conditional_potential").model_dump(mode="json"),
        dust_free=(
            case_settings(DUST_FREE).model_dump(mode="json")
            if DUST_FREE in CASES
            else None
        ),
        code=code("summarise_conditional_potential"),
    message:
        "Make the data behind the figures of conditional_potential"
    script:
        "../../scripts/summarise_conditional_potential.py"


rule tabulate_conditional_potential:
    input:
        numbers="<results>/conditional_potential/data/numbers.json",
        networks=[
            f"<results>/{case}/evaluated/networks.parquet" for case in TABULATED_CASES
        ],
    output:
        **{
            table: report(
                f"<results>/conditional_potential/tables/{table}.csv",
                caption="../report/caption.rst",
                category="conditional_potential",
                labels={"item": table, "kind": "table"},
            )
            for table in TABLES["conditional_potential"]
            if table <= "tab03"
        },
        **{
            f"{table}_tex": f"<results>/conditional_potential/tables/{table}.tex"
            for table in TABLES["conditional_potential"]
            if table <= "tab03"
        },
    log:
        "<logs>/tabulate_conditional_potential.log",
    benchmark:
        "<benchmarks>/tabulate_conditional_potential.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        studies=[
            case_settings(case).model_dump(mode="json") for case in TABULATED_CASES
        ],
        published=published("conditional_potential"),
        caption=caption_of("conditional_potential", "tab01"),
        code=code("tabulate_conditional_potential"),
    message:
        "Write Tables 1 to 3"
    script:
        "../../scripts/tabulate_conditional_potential.py"


rule compare_conditional_potential:
    input:
        profiles=collect("<results>/{case}/evaluated/profile.parquet", case=CASES),
        numbers=collect("<results>/{case}/data/numbers.json", case=CASES),
    output:
        fig08="<results>/conditional_potential/data/fig08.parquet",
        tab04=report(
            "<results>/conditional_potential/tables/tab04.csv",
            caption="../report/caption.rst",
            category="conditional_potential",
            labels={"item": "tab04", "kind": "table"},
        ),
        tex="<results>/conditional_potential/tables/tab04.tex",
    log:
        "<logs>/compare_conditional_potential.log",
    benchmark:
        "<benchmarks>/compare_conditional_potential.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        cases={
            name: case_settings(case).model_dump(mode="json")
            for case, name in CASES.items()
        },
        caption=caption_of("conditional_potential", "tab04"),
        code=code("compare_conditional_potential"),
    message:
        "Set the study and its variants side by side"
    script:
        "../../scripts/compare_conditional_potential.py"


# Only if it is asked for: snakemake search.
rule search_conditional_potential:
    input:
        flows=flows_searched_with(".h5"),
        quick=flows_searched_with("-quick.h5"),
        stars=collect(
            "<results>/conditional_potential/mock/stars/part-{part}.parquet",
            part=MOCK_PARTS,
        ),
    output:
        table="<results>/conditional_potential/search/{network}.csv",
        settings="<results>/conditional_potential/search/{network}.yaml",
    log:
        "<logs>/search_conditional_potential/{network}.log",
    benchmark:
        "<benchmarks>/search_conditional_potential/{network}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000, per_input_mb=8),
        runtime=minutes(720),
        gpu=SETTINGS.gpus,
    params:
        study=settings_of_search,
        learned=learned_for_search,
        seed=SETTINGS.seed,
        code=code("search_conditional_potential"),
    message:
        "Search for hyper-parameters of {wildcards.network}"
    script:
        "../../scripts/search_conditional_potential.py"
