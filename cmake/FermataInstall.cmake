# What `cmake --install` copies: libraries, headers and a CMake package, with which find_package(fermata CONFIG) finds
# them. The command installs itself, in examples/fermata.

include(CMakePackageConfigHelpers)

set(_package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/fermata")

install(TARGETS ${FERMATA_LIBRARIES} fermata_fermata EXPORT fermata-targets)
install(EXPORT fermata-targets NAMESPACE fermata:: DESTINATION "${_package_folder}")

# By itself, so that whoever does not use it need not have its libraries.
if(TARGET fermata_observability)
  install(TARGETS fermata_observability EXPORT fermata-observability-targets)
  install(EXPORT fermata-observability-targets NAMESPACE fermata:: DESTINATION "${_package_folder}")
endif()
if(TARGET fermata_postgres)
  install(TARGETS fermata_postgres EXPORT fermata-postgres-targets)
  install(EXPORT fermata-postgres-targets NAMESPACE fermata:: DESTINATION "${_package_folder}")
endif()

foreach(_layer IN LISTS FERMATA_LAYERS)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/${_layer}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/fermata"
    FILES_MATCHING PATTERN "*.hpp" PATTERN detail EXCLUDE)
endforeach()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/fermata-config.cmake.in"
  "${PROJECT_BINARY_DIR}/fermata-config.cmake" INSTALL_DESTINATION "${_package_folder}"
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0, a new minor version may change everything.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fermata-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(
  FILES
    "${PROJECT_BINARY_DIR}/fermata-config.cmake" "${PROJECT_BINARY_DIR}/fermata-config-version.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/FindCAF.cmake" "${PROJECT_SOURCE_DIR}/cmake/FindLMDB.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/FindPrometheusCpp.cmake" "${PROJECT_SOURCE_DIR}/cmake/FindRE2.cmake"
  DESTINATION "${_package_folder}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
