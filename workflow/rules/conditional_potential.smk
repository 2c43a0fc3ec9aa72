# Kalda & Green (2026): the potential without a selection function, on a mock of its own, which no
# release changes. `{case}` is the study itself or one of its variants.
rule obscure_conditional_potential:
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
        like=lambda wildcards: mock_of_equal_density(wildcards),
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
        partitions=lambda wildcards: settings_of_case(wildcards).partitions,
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
        flows=section_of_case("flows"),
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
        flows=section_of_case("flows"),
        radius_kpc=lambda wildcards: settings_of_case(wildcards).mock.tracer.radius_kpc,
        seed=SETTINGS.seed,
        code=code("distil_conditional_potential"),
    message:
        "Distil flow {wildcards.member} of {wildcards.flow} for {wildcards.case}"
    script:
        "../../scripts/distil_conditional_potential.py"


rule solve_conditional_potential:
    input:
        flows=flows_of_method("{name}-{{member}}.h5"),
        quick=flows_of_method("{name}-{{member}}-quick.h5"),
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
        flows=section_of_case("flows"),
        sampling=section_of_case("sampling"),
        solver=lambda wildcards: solver_of_case(wildcards),
        radius_kpc=lambda wildcards: settings_of_case(wildcards).mock.tracer.radius_kpc,
        seed=SETTINGS.seed,
        code=code("solve_conditional_potential"),
    message:
        "Find potential {wildcards.member} of the {wildcards.method} method for {wildcards.case}"
    script:
        "../../scripts/solve_conditional_potential.py"
