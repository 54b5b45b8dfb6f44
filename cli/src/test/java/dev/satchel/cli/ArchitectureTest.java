package dev.satchel.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.lang.foreign.Linker;
import java.util.regex.Pattern;

/** The arrows of docs/ARCHITECTURE.md, and what would quietly undo them. Sits here because all parts are on this module's class path. */
@AnalyzeClasses(packages = "dev.satchel", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {
    @ArchTest
    static final ArchRule PARTS_DEPEND_DOWNWARDS_ONLY = layeredArchitecture()
            .consideringOnlyDependenciesInLayers()
            .withOptionalLayers(true)
            .layer("cli")
            .definedBy("dev.satchel.cli..")
            .layer("session")
            .definedBy("dev.satchel.session..")
            .layer("pod")
            .definedBy("dev.satchel.pod..")
            .layer("volume")
            .definedBy("dev.satchel.volume..")
            .layer("vault")
            .definedBy("dev.satchel.vault..")
            .layer("display")
            .definedBy("dev.satchel.display..")
            .layer("linux")
            .definedBy("dev.satchel.linux..")
            .whereLayer("cli")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("session")
            .mayOnlyBeAccessedByLayers("cli")
            .whereLayer("pod")
            .mayOnlyBeAccessedByLayers("cli", "session")
            .whereLayer("volume")
            .mayOnlyBeAccessedByLayers("cli", "session", "pod")
            .whereLayer("vault")
            .mayOnlyBeAccessedByLayers("cli", "session", "pod", "volume")
            .whereLayer("display")
            .mayOnlyBeAccessedByLayers("cli", "session");

    @ArchTest
    static final ArchRule PARTS_ARE_FREE_OF_CYCLES =
            slices().matching("dev.satchel.(*)..").should().beFreeOfCycles().allowEmptyShould(true);

    @ArchTest
    static final ArchRule NATIVE_CALLS_ARE_MADE_IN_ONE_PLACE = noClasses()
            .that()
            .resideOutsideOfPackage("dev.satchel.linux..")
            .should()
            .dependOnClassesThat()
            .areAssignableTo(Linker.class)
            .because("errno, struct layouts and descriptor ownership are got right once, in linux");

    @ArchTest
    static final ArchRule ONLY_THE_COMMAND_LINE_ENDS_THE_PROGRAM = noClasses()
            .that()
            .resideOutsideOfPackage("dev.satchel.cli..")
            .should()
            .callMethod(System.class, "exit", int.class)
            .because("what a session holds must be let go first");

    @ArchTest
    static final ArchRule NAMES_SAY_WHAT_A_CLASS_IS = noClasses()
            .should()
            .haveNameMatching(
                    ".*" + Pattern.quote(".") + "(util|utils|common|helper|manager|impl)" + Pattern.quote(".") + ".*")
            .orShould()
            .haveNameMatching(".*(Util|Utils|Helper|Manager|Impl)");
}
